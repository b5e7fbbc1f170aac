"""The preloaded library asks for little and shows nothing that it need not."""

import re

import harness

NEEDED = re.compile(r"(libc|libdl|libpthread|libm)\.so\.\d+|ld-linux-[\w-]+\.so\.\d+")
LIBC_NAMES = {
    "malloc",
    "calloc",
    "realloc",
    "reallocarray",
    "free",
    "free_sized",
    "free_aligned_sized",
    "aligned_alloc",
    "memalign",
    "posix_memalign",
    "valloc",
    "pvalloc",
    "malloc_usable_size",
    "dlclose",
    "mlockall",
    "setrlimit",
    "setrlimit64",
    "getrlimit",
    "getrlimit64",
    "prlimit",
    "prlimit64",
    "mmap",
    "mmap64",
    "munmap",
    "mremap",
    "brk",
    "sbrk",
}
# Every replaceable operator new and delete: scalar and array, nothrow, aligned, sized.
OPERATORS = {
    f"_Zn{kind}m{align}{nothrow}"
    for kind in "wa"
    for align in ("", "St11align_val_t")
    for nothrow in ("", "RKSt9nothrow_t")
} | {
    f"_Zd{kind}Pv{sized}{align}{nothrow}"
    for kind in "la"
    for sized in ("", "m")
    for align in ("", "St11align_val_t")
    for nothrow in ("", "RKSt9nothrow_t")
    if not (sized and nothrow)
}
REQUIRED = (
    LIBC_NAMES
    - {
        "free_sized",
        "free_aligned_sized",
        "dlclose",
        "mlockall",
    }
) | OPERATORS


def exported(library):
    out = harness.run(["nm", "-D", "--defined-only", library]).stdout
    return {
        line.split()[-1].split("@")[0]
        for line in out.splitlines()
        if line.split()[-2] not in ("A", "a")
    }


def test_needs_the_c_library_alone(library):
    out = harness.run(["readelf", "-dW", library]).stdout
    needed = re.findall(r"\(NEEDED\).*\[(.*)\]", out)
    assert needed, out
    assert [name for name in needed if not NEEDED.fullmatch(name)] == []


def test_shows_only_what_it_replaces(library):
    names = exported(library)
    strange = {n for n in names - LIBC_NAMES - OPERATORS if not n.startswith("memtrace_")}
    assert strange == set()


def test_replaces_every_function_of_the_family(library):
    assert REQUIRED - exported(library) == set()


def test_shows_every_function_of_its_headers(library):
    declared = set()
    for name, at_least in (("memtrace.h", 8), ("inspect.h", 25)):
        header = (harness.SOURCE_DIR / "interpose" / name).read_text()
        found = re.findall(r"^MEMTRACE_API [^;]*?\b(memtrace_\w+)\(", header, re.MULTILINE)
        assert len(found) >= at_least, name
        declared |= set(found)
    assert {n for n in exported(library) if n.startswith("memtrace_")} == declared


def test_thread_data_needs_no_allocation(library):
    """Initial-exec thread-local data only: __tls_get_addr may call malloc."""
    out = harness.run(["nm", "-D", "--undefined-only", library]).stdout
    assert "__tls_get_addr" not in out
    assert "STATIC_TLS" in harness.run(["readelf", "-dW", library]).stdout
