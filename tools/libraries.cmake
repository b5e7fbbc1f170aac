# The libraries of other people that the tool is made of, as memtrace_absl, memtrace_protobuf and
# memtrace_elf.
#
# MEMTRACE_STATIC links them into the tool, so that it needs the C library alone and runs on
# machines that do not have them: for wheels. Debian's CMake files of abseil and protobuf name the
# shared libraries only; the archives are found by pkg-config's names.
option(MEMTRACE_STATIC "Link the tool's libraries into it, as far as there are archives" OFF)

find_package(PkgConfig REQUIRED)
add_library(memtrace_absl INTERFACE)
add_library(memtrace_protobuf INTERFACE)
add_library(memtrace_elf INTERFACE)

# The archives of these pkg-config modules and of what they need, without the C library's own.
function(memtrace_find_archives out)
  pkg_check_modules(MODULES REQUIRED QUIET ${ARGN})
  set(archives)
  set(missing)
  foreach(name IN LISTS MODULES_STATIC_LIBRARIES)
    if(name MATCHES "^(atomic|rt|m|c|dl|pthread)$")
      continue()
    endif()
    find_library(ARCHIVE_${name} NAMES lib${name}.a HINTS ${MODULES_STATIC_LIBRARY_DIRS})
    mark_as_advanced(ARCHIVE_${name})
    if(ARCHIVE_${name})
      list(APPEND archives ${ARCHIVE_${name}})
    else()
      list(APPEND missing lib${name}.a)
    endif()
  endforeach()
  list(REMOVE_DUPLICATES archives)
  if(missing)
    list(JOIN missing ", " names)
    message(WARNING "${names} not found: the tool will need the shared libraries of ${ARGN}")
    set(archives)
  endif()
  set(${out} ${archives} PARENT_SCOPE)
endfunction()

# Links `target` with the archives of these modules; else, and where one is missing, with `shared`.
function(memtrace_link target shared)
  set(archives)
  if(MEMTRACE_STATIC)
    memtrace_find_archives(archives ${ARGN})
  endif()
  if(archives)
    list(JOIN archives "," group)
    target_link_libraries(${target} INTERFACE "$<LINK_GROUP:RESCAN,${group}>" Threads::Threads)
  else()
    target_link_libraries(${target} INTERFACE ${shared})
  endif()
endfunction()

memtrace_link(memtrace_absl
  "absl::status;absl::statusor;absl::strings;absl::str_format;absl::flat_hash_map;absl::flat_hash_set;absl::time;absl::span"
  absl_status absl_statusor absl_strings absl_str_format absl_flat_hash_map absl_flat_hash_set
  absl_time absl_span)
memtrace_link(memtrace_protobuf "protobuf::libprotobuf;ZLIB::ZLIB" protobuf zlib)
pkg_check_modules(DW REQUIRED IMPORTED_TARGET libdw)
pkg_check_modules(ELF REQUIRED IMPORTED_TARGET libelf)
memtrace_link(memtrace_elf "PkgConfig::DW;PkgConfig::ELF" libdw libelf)
