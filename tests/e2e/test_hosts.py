"""Real programs behave under memtrace as they do alone: the same output, status and files.

Each host is run twice, alone and preloaded, and says what can be compared. Then the regions of the
traced run must be sound and have counted something.
"""

import hashlib
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request

import pytest
from harness import SOURCE_DIR, clean_environment, run


def needs(name):
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    assert path, f"{name} is not installed: scripts/test installs it"
    return path


def digest(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


def finished(argv, env, cwd, **options):
    done = run(argv, env=env, cwd=cwd, check=False, **options)
    assert done.returncode == 0, (argv, done.returncode, done.stdout[-1000:], done.stderr[-1000:])
    assert "memtrace" not in done.stderr, done.stderr
    return done.stdout


class Server:
    """A server in the foreground; stopped by its own pid."""

    def __init__(self, argv, env, cwd, is_up):
        # A file: its children would keep a pipe open.
        with tempfile.TemporaryFile() as output:
            self.process = subprocess.Popen(
                argv, env=env, cwd=cwd, stdout=output, stderr=subprocess.STDOUT
            )
            end = time.monotonic() + 20
            while not is_up():
                if self.process.poll() is not None or time.monotonic() > end:
                    self.end(signal.SIGTERM)
                    output.seek(0)
                    raise AssertionError(output.read().decode(errors="replace"))
                time.sleep(0.02)

    def end(self, number):
        """Sends a signal; returns the exit status."""
        self.process.send_signal(number)
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        return self.process.returncode


# ------------------------------------------------------------------------------------------------
# The hosts: (environment, empty folder) -> what must not differ


def sqlite(env, folder):
    script = """
        create table t(id integer primary key, name text, size int);
        with recursive n(i) as (select 1 union all select i + 1 from n where i < 50000)
          insert into t select i, 'name ' || (i * 7919 % 10007), i * 31 % 997 from n;
        create index by_name on t(name);
        select name, count(*), sum(size) from t group by name order by 3 desc, 1 limit 50;
        select count(*) from t a join t b on a.name = b.name where a.size < b.size;
        pragma integrity_check;
    """
    return finished([needs("sqlite3"), "test.db"], env, folder, input=script, stdin=None)


def git(env, folder):
    env = dict(env, HOME=str(folder), GIT_CONFIG_NOSYSTEM="1")
    for who in "AUTHOR", "COMMITTER":
        env[f"GIT_{who}_NAME"], env[f"GIT_{who}_EMAIL"] = "nobody", "nobody@example.org"
        env[f"GIT_{who}_DATE"] = "2024-02-29T12:00:00Z"
    tool, out = needs("git"), []

    def do(*args):
        out.append(finished([tool, *args], env, folder))

    do("init", "--quiet", "--initial-branch=main")
    for n in range(10):
        for i in range(30):
            (folder / f"file{i}.txt").write_text(f"line {n}\n" * (i + n))
        do("add", ".")
        do("commit", "--quiet", "-m", f"commit {n}")
    do("log", "--stat", "--format=%H %s")
    do("gc", "--quiet")
    do("fsck", "--full", "--strict", "--no-progress")
    return out


def compiler(env, folder):
    source = SOURCE_DIR / "tools" / "model" / "profile.cc"
    flags = ["-std=c++20", "-O2", "-c", "-I", str(SOURCE_DIR), "-o", "out.o"]
    finished([needs("g++"), *flags, str(source)], env, folder, timeout=240)
    return digest(folder / "out.o")


def node(env, folder):
    code = """
        const zlib = require('zlib'), crypto = require('crypto');
        const people = Array.from({length: 20000}, (_, i) => ({id: i, tags: ['a' + i % 7, 'b' + i % 11]}));
        const byTag = new Map();
        for (const p of people) for (const t of p.tags) byTag.set(t, (byTag.get(t) || 0) + p.id);
        const text = JSON.stringify(people);
        const packed = zlib.gzipSync(text);
        const same = zlib.gunzipSync(packed).toString() === text;
        console.log(same, crypto.createHash('sha256').update(text).digest('hex'));
        console.log([...byTag].sort().join(' '));
        require('worker_threads');
        const {Worker} = require('worker_threads');
        const w = new Worker("require('worker_threads').parentPort.postMessage([..." +
          "Array(1000).keys()].reduce((a, b) => a + b))", {eval: true});
        w.on('message', (m) => console.log(m));
    """
    return finished([needs("node"), "-e", code], env, folder)


def redis(env, folder):
    tool, path = needs("redis-cli"), str(folder / "r.sock")
    argv = [needs("redis-server"), "--port", "0", "--unixsocket", path, "--save", ""]
    server = Server([*argv, "--dir", str(folder)], env, folder, lambda: os.path.exists(path))
    plain = clean_environment()

    def ask(*words):
        return run([tool, "-s", path, *words], env=plain).stdout

    out = [ask("ping"), ask("set", "greeting", "hello")]
    bench = ["redis-benchmark", "-s", path, "-n", "3000", "-q", "-r", "500"]
    run([needs(bench[0]), *bench[1:], "-t", "set,get,lpush,lpop,sadd,hset,zadd,mset"], env=plain)
    out.append(ask("get", "greeting"))
    out.append(ask("eval", "local s = 0; for i = 1, 1e5 do s = s + i end; return s", "0"))
    ask("bgsave")
    while "rdb_bgsave_in_progress:0" not in ask("info", "persistence"):
        time.sleep(0.05)
    out.append(re.findall("rdb_last_bgsave_status:(.*)", ask("info", "persistence")))
    out.append(server.end(signal.SIGTERM))
    return out


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def nginx(env, folder):
    port = free_port()
    (folder / "files").mkdir()
    for i in range(20):
        (folder / "files" / f"{i}.txt").write_text(f"{i}\n" * (100 * i))
    user = "user root; " if os.geteuid() == 0 else ""  # who may enter the folder
    (folder / "nginx.conf").write_text(
        f"{user}daemon off; worker_processes 2; pid {folder}/pid; error_log {folder}/error.log;\n"
        "events {}\nhttp { access_log off; gzip on; gzip_types text/plain; gzip_min_length 1;\n"
        f"server {{ listen 127.0.0.1:{port}; root {folder}/files; }} }}\n"
    )

    def get(path, **headers):
        request = urllib.request.Request(f"http://127.0.0.1:{port}/{path}", headers=headers)
        return urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
            request, timeout=10
        )

    def is_up():
        try:
            return get("0.txt").status == 200
        except OSError:
            return False

    argv = [needs("nginx"), "-p", str(folder), "-c", str(folder / "nginx.conf")]
    server = Server([*argv, "-e", str(folder / "error.log")], env, folder, is_up)
    out = [get(f"{i % 20}.txt").read() for i in range(200)]
    packed = [get(f"{i}.txt", **{"Accept-Encoding": "gzip"}).read() for i in range(20)]
    os.kill(server.process.pid, signal.SIGHUP)  # new workers
    time.sleep(0.3)
    out += [get(f"{i % 20}.txt").read() for i in range(200)]
    return [out, [len(p) for p in packed], server.end(signal.SIGQUIT)]


HOSTS = {host.__name__: host for host in (sqlite, git, compiler, node, redis, nginx)}


@pytest.mark.parametrize("name", HOSTS)
def test_behaves_as_alone(session, tmp_path, name):
    results = []
    for kind, env in (("alone", clean_environment()), ("traced", session.env())):
        # One path for both runs: it is part of what they print.
        folder = tmp_path / "host"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        results.append(HOSTS[name](env, folder))
        assert bool(session.regions()) == (kind == "traced")
    assert results[0] == results[1]
    check_regions(session)


def check_regions(session):
    """Every process has a sound region without losses, and something was counted."""
    counted = 0
    for region in session.regions():
        totals = session.report(region, "--at", "total", "--by", "domain")["totals"]
        assert totals["lost"] == 0, (region, totals)
        counted += totals["alloc_blocks"]
    assert counted > 1000
