# shellcheck shell=bash
# shellcheck disable=SC2154

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# A part of build.sh: "test".
#
# Each nginx has its own run of the tests, in a network and process namespace
# of its own, as Test::Nginx listens on every address.  What needs no nginx runs
# once, and the units once more with sanitizers.


results=$build/test/$$

# seconds for one run of all files

time_limit=2400

running=


command_test() {
    local names=() files=() plain=() units=() about_nginx=() budgets=() name
    local file arg

    for arg; do
        case $arg in
            --nginx=*) names+=("${arg#*=}") ;;
            -*)        die "test: invalid argument \"$arg\"" ;;
            *)         files+=("$arg") ;;
        esac
    done

    cd "$top" || die "test: cannot enter $top"

    if [ ${#names[@]} = 0 ]; then
        names=(1.22 1.30 asan)
    fi

    if [ ${#files[@]} = 0 ]; then
        files=(t/*.t)
    fi

    for file in "${files[@]}"; do
        [ -f "$file" ] || die "test: no file \"$file\""

        case ${file##*/} in
            unit_*.t | vectors.t | replay.t)
                units+=("$file") plain+=("$file") ;;
            build_*.t | style.t | simulate.t)
                plain+=("$file") ;;
            bench.t)
                budgets+=("$file") ;;
            *)
                about_nginx+=("$file") ;;
        esac
    done

    command_deps all
    prepare_results
    choose_isolation

    # first everything is built, then everything is run

    build_units "$build/units"
    build_units "$build/units-san" SAN=1

    if [ $((${#about_nginx[@]} + ${#budgets[@]})) != 0 ]; then
        for name in "${names[@]}"; do
            build_nginx "$name"
            build_clock
            prepare_nginx "$results/$name"
        done
    fi

    end_turn

    # killing the first process of a namespace ends all of its processes

    trap 'kill -KILL $running 2>/dev/null; exit 1' INT TERM

    unset "${!ASYNC_UPLOAD_@}"
    export ASYNC_UPLOAD_UNITS=$build/units

    if [ ${#plain[@]} != 0 ]; then
        run_tests units "${plain[@]}"
    fi

    if [ ${#units[@]} != 0 ]; then
        ASYNC_UPLOAD_UNITS=$build/units-san run_tests units-san "${units[@]}"
    fi

    if [ $((${#about_nginx[@]} + ${#budgets[@]})) != 0 ]; then
        for name in "${names[@]}"; do
            export TEST_NGINX_BINARY=$results/$name/nginx
            export TEST_NGINX_LOAD_MODULES=$results/$name/$module.so
            export ASYNC_UPLOAD_CLOCK_MODULE=$results/$name/clock/$module.so

            files=("${about_nginx[@]}")

            # the budgets are those of the distribution's nginx, as it is

            if [ "$name" = 1.22 ]; then
                files+=("${budgets[@]}")
            fi

            if [ ${#files[@]} != 0 ]; then
                run_tests "$name" "${files[@]}"
            fi
        done
    fi

    summary
}


# prepare_results: a directory for this run; those of earlier ones and what a
# killed Test::Nginx has left go.

prepare_results() {
    local dir

    for dir in "$build"/test/*; do
        if [ -d "$dir" ] && [ ! -e "/proc/${dir##*/}" ]; then
            rm -rf "$dir"
        fi
    done

    find "$top/t" -maxdepth 1 -name 'servroot*' -mmin +60 -exec rm -rf {} +

    rm -rf "$results"
    mkdir -p "$results"
}


# build_units DIR [SAN=1]: builds the unit tests.

build_units() {
    make -s -C "$top/t/unit" -j "$jobs" OUT="$1" CC="$(compiler)" "${@:2}"
}


# build_nginx NAME: builds the module for one nginx; NAME is "asan" or the
# beginning of the version of one of the packaged ones.

build_nginx() {
    local name=$1 version

    if [ "$name" = asan ]; then
        build_asan "$deps/source"
        return
    fi

    version=$(nginx_version "$(distribution_root)/usr/share/nginx/src")

    case $version in
        "$name" | "$name".*) build_distribution ;;
        *)                   build_newer ;;
    esac

    case ${out##*/} in
        "$name" | "$name".*) ;;
        *) die "test: there is no nginx $name here" ;;
    esac
}


# prepare_nginx DIR: what a run needs of what was built, so that building again
# meanwhile does no harm.

prepare_nginx() {
    local dir=$1

    mkdir -p "$dir/clock"
    cp "$out/$module.so" "$dir/"
    cp "$out/clock/$module.so" "$dir/clock/"

    # A second error log is kept over all blocks and all starts; Test::Nginx
    # removes its own before each block.  A binary that replaces this one needs
    # its libraries, too.

    printf '#!/bin/sh\nexec "%s" -g "%s" "$@"\n' "$nginx" \
        "env LD_LIBRARY_PATH; error_log $dir/error.log notice;" >"$dir/nginx"
    chmod +x "$dir/nginx"
}


# run_tests NAME FILE...: runs test files and looks for what they do not see.

run_tests() {
    local name=$1 dir=$results/$1 log=$results/$1/totals found

    shift

    mkdir -p "$dir"
    : >"$dir/error.log"

    say ''
    say "== $name"

    export TEST_NGINX_RANDOMIZE=1

    if [ "$(id -u)" = 0 ]; then
        export TEST_NGINX_WORKER_USER=root
    fi

    # separated by commas, since Test::Nginx changes log_path; the names that
    # nginx gives to the tables of every dynamic module are the same

    export ASAN_OPTIONS=detect_odr_violation=0
    ASAN_OPTIONS+=,log_path=$dir/asan
    export UBSAN_OPTIONS=print_stacktrace=1
    export LSAN_OPTIONS=suppressions=$top/t/lsan.supp,print_suppressions=0

    # in the background, so that a signal is acted upon at once

    "${isolation[@]}" timeout $time_limit perl "$top/t/prove" "$log" "$@" \
        </dev/null &
    running=$!
    wait $running || true
    running=

    if [ ! -s "$log" ]; then
        say "$name: the tests did not come to their end"
        echo 0 1 >"$log"
    fi

    # each of these is a failed test more; UBSan ends a worker with code 1, and
    # what it says goes to the log of the block

    found='exited on signal (4|6|7|8|11)\b|exited with code [1-9]'
    found=$(grep -E "$found|open socket #[0-9]+ left" "$dir/error.log" || true)

    if [ -n "$found" ]; then
        printf '%s: in the error logs:\n%s\n' "$name" "$found"
        echo 0 1 >>"$log"
    fi

    for found in "$dir"/asan*; do
        if [ -e "$found" ] && ! is_nginx_own "$found"; then
            say "$name: a sanitizer's report: $found"
            head -n 30 "$found"
            echo 0 1 >>"$log"
        fi
    done
}


# is_nginx_own REPORT: whether it is only of the first pool of nginx' main(),
# which is never freed when a configuration is refused.

is_nginx_own() {
    local frames='__interceptor_\w+|ngx_memalign|ngx_create_pool|main|_start'

    # not with grep -q: the first one of the pipe would be ended by a signal,
    # and a long report be taken for nginx' own

    grep -q 'ERROR: LeakSanitizer: detected memory leaks' "$1" \
        && ! grep -E '^ *#[0-9]+ ' "$1" \
             | grep -vE " in ($frames|__libc_start\w+) |/libc\.so\.6\+" \
                    >/dev/null
}


# choose_isolation: sets "isolation" to the command that runs another one in
# network and process namespaces of its own.  As a normal user it becomes root
# there for as long as it takes to prepare them.

choose_isolation() {
    # shellcheck disable=SC2016
    local prepare='mount --make-private /proc && mount -t proc proc /proc \
                   && ip link set lo up && "$@"'
    local log=$results/unshare.log flags

    for flags in "" --map-root-user; do

        # shellcheck disable=SC2206
        isolation=(unshare $flags --net --mount --propagation unchanged --pid
                   --fork --kill-child bash -c "$prepare" bash)

        if [ -n "$flags" ] && [ "$(id -u)" != 0 ]; then
            isolation+=(unshare --user --map-user="$(id -u)"
                        --map-group="$(id -g)" --)
        fi

        if "${isolation[@]}" true 2>>"$log"; then
            return
        fi
    done

    die "test: cannot make a network namespace: $(cat "$log")"
}


# summary: the one line that counts, and the exit status.

summary() {
    local passed=0 failed=0 p f

    while read -r p f; do
        passed=$((passed + p))
        failed=$((failed + f))
    done < <(cat "$results"/*/totals)

    say ''
    say "$passed passed, $failed failed"

    if [ $failed = 0 ]; then
        rm -rf "$results"
    fi

    [ $failed = 0 ] && [ $passed != 0 ]
}
