#!/usr/bin/env bash

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# Builds, runs and tests the module; "./build.sh --help" tells how.
#
# Everything is kept below build/.  Packages that the system lacks are
# downloaded with a private apt configuration and unpacked into build/deps, not
# installed: the system's nginx, its package lists and its sources stay as they
# are, and no root is needed.

set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
build=$top/build
deps=$build/deps
jobs=$(nproc)

export LC_ALL=C

module=ngx_http_async_upload_module

# The suite that has the newest stable nginx and Test::Nginx.
newer_suite=${NEWER_SUITE:-forky}

# shellcheck source=t/deps.sh
. "$top/t/deps.sh"

# shellcheck source=t/run.sh
. "$top/t/run.sh"

# shellcheck source=t/demo.sh
. "$top/t/demo.sh"


usage() {
    cat <<'END'
usage: ./build.sh COMMAND [OPTION...]

  deps [build|all]      fetch what the system lacks into build/deps: for build
                        and run, or for everything (default)
  build [OPTION...]     build the module against the distribution's nginx, into
                        build/VERSION/ngx_http_async_upload_module.so
      --nginx=DIR       against this nginx source tree, configured or not; it
                        is copied, not touched
      --newer           against the newer nginx that the tests use
      --binary          build nginx too, from DIR, into build/.../nginx
      --static          link the module into that nginx instead
      --asan            nginx and module with AddressSanitizer and UBSan, from
                        DIR or from the distribution's source
  run [OPTION...]       build, then start a demo in the foreground
      --port=N          the proxy's port, otherwise the first free one from 8080
      --dir=DIR         where the demo is kept instead of build/demo
      --enabled         as ASYNC_UPLOAD_ENABLED=on in the environment
      --rollout=SHARE   as ASYNC_UPLOAD_ROLLOUT=SHARE
  reload [--dir=DIR]    have the demo read its conf/ anew
  test [FILE...]        build, then run all tests, or these files of t/
      --nginx=NAME      with this nginx alone: 1.22, 1.30 or asan
  vectors FILE          run the vectors of a file through the units
  simulate [OPTION...]  run rollouts at random through the units
      --runs=N          of each scenario, instead of 1000
      --seed=N          another random source
      --scenario=NAME   this one alone, or several: NAME,NAME
      --values          what each run came to, not the table
  replay FILE           decide again by the records of a journal
  bench [OPTION...]     measure instructions per upload
  exec COMMAND...       run a command with what "deps" has fetched
  clean                 remove build/, except for build/deps
      --all             and build/deps

Nothing is installed, and no root is needed.
END
}


say() {
    printf '%s\n' "$*"
}


die() {
    printf 'build.sh: %s\n' "$*" >&2
    exit 1
}


# Runs a command with its output kept in a file, which is shown if it fails.

quietly() {
    local log=$1

    shift
    if ! "$@" >"$log" 2>&1; then
        tail -n 40 "$log" >&2
        die "failed: $* (all of its output: $log)"
    fi
}


# nginx_version TREE: the version of a source tree.

nginx_version() {
    sed -n 's/^#define NGINX_VERSION *"\(.*\)"/\1/p' \
        "$1/src/core/nginx.h" 2>/dev/null
}


# configure_flags TREE: sets "flags" to those the tree's nginx was built with.

configure_flags() {
    local tree=$1 line flag

    # a generic binary-compatible one, where the tree says nothing

    flags=(--with-compat --with-debug --with-threads --with-pcre-jit
           --with-http_ssl_module --with-http_v2_module
           --with-http_auth_request_module --with-http_dav_module
           --with-http_realip_module --with-http_slice_module
           --with-http_stub_status_module)

    if [ -f "$tree/conf_flags" ]; then

        # Debian's nginx-dev; what it asks dpkg-dev for, the name of this system
        # and how packages are compiled, is left to configure

        # shellcheck disable=SC2317
        dpkg-architecture() { :; }
        # shellcheck disable=SC2317
        dpkg-buildflags() { :; }
        # shellcheck disable=SC1091
        . "$tree/conf_flags"
        unset -f dpkg-architecture dpkg-buildflags

        flags=()
        for flag in "${NGX_CONF_FLAGS[@]}"; do
            case $flag in
                --override-* | --with-cc-opt=* | --with-ld-opt=*) ;;
                *) flags+=("$flag") ;;
            esac
        done

    elif [ -f "$tree/objs/ngx_auto_config.h" ]; then

        # the arguments as configure has kept them, quotes and all

        line=$(sed -n 's/^#define NGX_CONFIGURE "\(.*\)"$/\1/p' \
                   "$tree/objs/ngx_auto_config.h")
        line=${line//\\\"/\"}
        eval "flags=($line)"
    fi
}


# take_turns, end_turn: of several build.sh at once, one builds at a time.

take_turns() {
    mkdir -p "$build"
    exec 9>"$build/lock"

    if ! flock -n 9; then
        say "waiting for another build.sh"
        flock 9
    fi
}


end_turn() {
    exec 9>&-
}


# build_tree TREE OUT MODE MODULE_CFLAGS [FLAG...]: configures a copy of an
# nginx source tree and builds the module from it.  MODE is "module", "binary"
# (nginx too) or "static".  Only what has changed is compiled.

build_tree() {
    local tree=$1 out=$2 mode=$3 cflags=$4 add=--add-dynamic-module
    local copy=$out/src configure=./configure key part
    local objs=$out/src/objs

    shift 4

    if [ "$mode" = static ]; then
        add=--add-module
    fi

    key=$(printf '%s\n' "$top" "$tree" "$mode" "$cflags" "$*"
          printf '%s\n' "$top"/ngx_async_upload_module/*.[ch]
          cksum "$top/config" "$tree/src/core/nginx.h"
          cksum "$tree/conf_flags" "$tree/objs/ngx_auto_config.h" 2>/dev/null \
          || true)

    if [ "$(cat "$out/configured" 2>/dev/null)" != "$key" ]; then
        rm -rf "$out"
        mkdir -p "$copy"

        for part in auto configure src conf contrib docs html man; do
            if [ -e "$tree/$part" ]; then
                cp -rL "$tree/$part" "$copy/"
            fi
        done

        if [ ! -f "$copy/configure" ]; then
            configure=auto/configure
        fi

        say "configuring nginx $(nginx_version "$tree")"

        (
            cd "$copy"
            quietly "$out/configure.log" "$configure" --with-cc="$(compiler)" \
                "$@" "$add=$top"
        )
        printf '%s\n' "$key" >"$out/configured"
    fi

    # These flags are the module's own: nginx' sources are compiled without
    # them (as "binary" has its own run of make).  nginx adds -W (that is
    # -Wextra), -Wall, -Wpointer-arith, -Wno-unused-parameter and -Werror by
    # itself; its headers do not survive -Wunused-parameter, -Wconversion,
    # -Wcast-qual, -Wwrite-strings or
    # -Wpedantic.

    case $mode in
        module) make_nginx "$copy" modules "$cflags" ;;
        binary) make_nginx "$copy" binary ""
                make_nginx "$copy" modules "$cflags" ;;
        static) make_nginx "$copy" binary "" ;;
    esac

    for part in "$module.so" nginx; do
        if [ -f "$objs/$part" ]; then
            hand_out "$objs/$part" "$out/$part"
        fi
    done
}


# build_clock: builds the module that was built last once more, into
# "out"/clock, with a clock that is set by tests.

build_clock() {
    local objs=$out/src/objs clock=objs/clock

    mkdir -p "$out/clock" "$objs/clock/ngx_async_upload_module"

    sed "s|objs/addon/|$clock/|g
         s|objs/\($module\.so\)|$clock/\1|g" \
        "$objs/Makefile" >"$objs/clock/Makefile"

    make_nginx "$out/src" modules \
        "$own_cflags -DNGX_HTTP_ASYNC_UPLOAD_TEST_CLOCK=1" "$clock/Makefile"

    hand_out "$objs/clock/$module.so" "$out/clock/$module.so"
}


# hand_out FILE TO: copies what was built, unless it is the same as before.

hand_out() {
    if ! cmp -s "$1" "$2"; then

        # a rename, since a running nginx has the old one mapped

        cp "$1" "$2.new"
        mv "$2.new" "$2"
        say "built ${2#"$top"/}"
    fi
}


# make_nginx TREE TARGET CFLAGS [MAKEFILE]: with CFLAGS after nginx' own.

make_nginx() {
    make -s -C "$1" -j "$jobs" -f "${4:-objs/Makefile}" "$2" \
        CC="$(compiler) $3"
}


compiler() {
    printf '%s' "${CC:-gcc}"
}


# What the module is compiled with beyond nginx' own flags.

module_cflags() {
    printf '%s ' -O2 -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
        -Wvla -fstack-protector-strong -D_FORTIFY_SOURCE=2 \
        -Wl,-z,relro,-z,now
}


# build_distribution: against the nginx of this distribution; sets "nginx", the
# binary, "out", where the module is, and "own_cflags", the module's flags.

build_distribution() {
    local flags

    # shellcheck disable=SC2034
    nginx=$(distribution_root)/usr/sbin/nginx
    build_packaged "$(distribution_root)"
}


# build_newer: against the newer suite's nginx; sets the same.

build_newer() {
    nginx=$deps/newer/usr/sbin/nginx
    build_packaged "$deps/newer"
}


build_packaged() {
    local tree=$1/usr/share/nginx/src flags

    out=$build/$(nginx_version "$tree")
    own_cflags=$(module_cflags)
    configure_flags "$tree"
    build_tree "$tree" "$out" module "$own_cflags" "${flags[@]}"
}


# build_asan TREE: nginx and module with sanitizers.  NGX_DEBUG_PALLOC makes
# every pool allocation one of malloc's, so that an overrun inside a pool is
# seen.  UBSan is for the module alone, nginx itself does not pass it.

build_asan() {
    local tree=$1 flags

    configure_flags "$tree"
    out=$build/$(nginx_version "$tree")-asan
    nginx=$out/nginx
    own_cflags="-Wextra -fsanitize=undefined -fno-sanitize-recover=undefined"

    build_tree "$tree" "$out" binary "$own_cflags" "${flags[@]}" \
        --prefix="$out" \
        --with-cc-opt="-O1 -fno-omit-frame-pointer -fsanitize=address \
                       -DNGX_DEBUG_PALLOC=1" \
        --with-ld-opt="-fsanitize=address"
}


command_deps() {
    case ${1:-all} in
        build) deps_build ;;
        all)   deps_build && deps_test ;;
        *)     die "deps: invalid argument \"$1\"" ;;
    esac
}


command_build() {
    local tree='' mode=module asan=off newer=off arg flags

    for arg; do
        case $arg in
            --nginx=?*) tree=${arg#*=} ;;
            --newer)   newer=on ;;
            --binary)  mode=binary ;;
            --static)  mode=static ;;
            --asan)    asan=on ;;
            *)         die "build: invalid argument \"$arg\"" ;;
        esac
    done

    deps_build

    if [ -n "$tree" ]; then
        [ -n "$(nginx_version "$tree")" ] \
            || die "build: no nginx source tree: $tree"
        tree=$(cd "$tree" && pwd -P)
    fi

    if [ $asan = on ]; then
        if [ -z "$tree" ]; then
            deps_source
            tree=$deps/source
        fi
        build_asan "$tree"

    elif [ -n "$tree" ]; then
        configure_flags "$tree"
        out=$build/$(nginx_version "$tree")-$(basename "$tree")
        [ $mode != static ] || out=$out-static
        build_tree "$tree" "$out" "$mode" "$(module_cflags)" "${flags[@]}"

    elif [ $mode != module ]; then
        die "build: --$mode needs --nginx=DIR"

    elif [ $newer = on ]; then
        deps_newer
        build_newer

    else
        build_distribution
    fi

    say "up to date: ${out#"$top"/}"
}


command_vectors() {
    local dir=$build/units file

    [ $# = 1 ] || die "vectors: one file is needed"
    [ -f "$1" ] || die "vectors: no file \"$1\""

    file=$(cd "$(dirname "$1")" && pwd)/${1##*/}

    deps_build
    build_units "$dir"
    end_turn
    exec "$dir/vectors" "$file"
}


# The simulator is made of the same sources, but in a hurry.

command_simulate() {
    local dir=$build/simulate source

    deps_build
    build_units "$dir" CFLAGS="-O3 -march=native -ffp-contract=off" \
        "$dir/simulate"

    source=$(git -C "$top" rev-parse --short HEAD 2>/dev/null || true)

    if [ -n "$source" ] && ! git -C "$top" diff --quiet HEAD -- \
                             ngx_async_upload_module t/simulate
    then
        source+=" with changes"
    fi

    end_turn
    exec "$dir/simulate" ${source:+"--source=commit $source"} "$@"
}


command_replay() {
    local dir=$build/units file

    [ $# = 1 ] || die "replay: one journal is needed"
    [ -f "$1" ] || die "replay: no file \"$1\""

    file=$(cd "$(dirname "$1")" && pwd)/${1##*/}

    deps_build
    build_units "$dir"
    end_turn
    exec "$dir/replay" "$file"
}


command_bench() {
    [ -x "$top/t/bench/run" ] || die "bench: there is no t/bench/run"

    command_deps all
    build_distribution

    export TEST_NGINX_BINARY=$nginx
    export TEST_NGINX_LOAD_MODULES=$out/$module.so

    end_turn
    exec "$top/t/bench/run" "$@"
}


command_exec() {
    [ $# != 0 ] || die "exec: a command is needed"

    use_root
    use_test_nginx
    exec "$@"
}


command_clean() {
    local path

    if demo_pid >/dev/null; then
        die "clean: the demo is running, with process id $(demo_pid)"
    fi

    case ${1:-} in
        --all) rm -rf "$build" ;;
        '')    for path in "$build"/*; do
                   [ "$path" = "$deps" ] || rm -rf "$path"
               done ;;
        *)     die "clean: invalid argument \"$1\"" ;;
    esac
}


main() {
    local command=${1:---help}

    case $top in
        *[[:space:]]*) die "nginx cannot be built below a path with spaces" ;;
    esac

    [ $# = 0 ] || shift

    case $command in
        deps | build | run | test | vectors | simulate | replay | bench | clean)
            take_turns
            "command_$command" "$@" ;;
        reload | exec)
            "command_$command" "$@" ;;
        -h | --help | help)
            usage ;;
        *)
            usage >&2
            die "invalid command \"$command\"" ;;
    esac
}


main "$@"
