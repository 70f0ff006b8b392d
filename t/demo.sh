# shellcheck shell=bash
# shellcheck disable=SC2154

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# A part of build.sh: "run" and "reload", the demo of conf.d/demo.conf.


demo=$build/demo


command_run() {
    local globals='daemon off; env LD_LIBRARY_PATH;' port='' ports=()
    local arg conf fixed name shown flags=stages.conf option=''

    for arg; do
        case $arg in
            --port=*)    port=${arg#*=} ;;
            --dir=?*)    demo=$(realpath -m "${arg#*=}") ;;
            --enabled)   export ASYNC_UPLOAD_ENABLED=on ;;
            --rollout=*) export ASYNC_UPLOAD_ROLLOUT=${arg#*=} ;;
            *)           die "run: invalid argument \"$arg\"" ;;
        esac
    done

    case $port in
        '') ;;
        *[!0-9]* | ??????*) die "run: invalid port \"$port\"" ;;
        *) port_is_free "$port" || die "run: port $port is in use" ;;
    esac

    if demo_pid >/dev/null; then
        die "run: the demo is running already, with process id $(demo_pid)"
    fi

    deps_build
    build_distribution

    mkdir -p "$demo"/{conf,logs/async_upload_rollout,modules,temp} \
        "$demo"/data/{sync,async}

    ln -sf "$out/$module.so" "$demo/modules/$module.so"
    cp "$top/conf.d/metrics.conf" "$demo/conf/"

    # what a person may have edited stays

    for fixed in stages.conf rollout.conf; do
        [ -e "$demo/conf/$fixed" ] || cp "$top/conf.d/$fixed" "$demo/conf/"
    done

    if [ ! -e "$demo/conf/tokens" ]; then
        (
            umask 077
            printf 'demo:%s\n' "$(od -An -N 16 -t x1 /dev/urandom | tr -d ' ')" \
                >"$demo/conf/tokens"
        )
    fi

    conf=$demo/conf/nginx.conf
    cp "$top/conf.d/demo.conf" "$conf"

    # a share of the environment has no effect on stages

    if [ -n "${ASYNC_UPLOAD_ROLLOUT:-}" ]; then
        flags=rollout.conf
        sed -i "s/include  stages\.conf;/include  $flags;/" "$conf"
    fi

    # other ports where those of the file are in use

    for fixed in 8080 8081 8082; do
        if [ "$fixed" != 8080 ] || [ -z "$port" ]; then
            port=$fixed
            while [[ " ${ports[*]} " == *" $port "* ]] \
                || ! port_is_free "$port"
            do
                port=$((port + 1))
            done
        fi

        ports+=("$port")
        sed -i "s/127\.0\.0\.1:$fixed\b/127.0.0.1:=$port/" "$conf"
    done

    sed -i "s/127\.0\.0\.1:=/127.0.0.1:/" "$conf"

    # root's uploads go where only root may write, perhaps

    if [ "$(id -u)" = 0 ]; then
        globals+=' user root;'
    fi

    "$nginx" -t -q -p "$demo" -c conf/nginx.conf -g "$globals" \
        -e logs/error.log || die "run: see $demo/conf"

    name=http://127.0.0.1:${ports[0]}
    shown=${demo#"$top"/}
    [ "$shown" = build/demo ] || option=" --dir=$shown"

    cat <<END

proxy           $name
sync service    http://127.0.0.1:${ports[1]}    stores in $shown/data/sync
async service   http://127.0.0.1:${ports[2]}    stores in $shown/data/async

Upload something, as different clients, and see where it went:

    curl -i --data-binary @build.sh -H 'X-Client-ID: 1' $name/upload
    curl -i -F file=@build.sh -H 'X-Client-ID: 2' $name/upload
    curl -i -T build.sh -H 'X-Client-ID: 3' $name/upload

    curl -s $name/async_upload/status?format=text
    tail $shown/logs/async_upload_rollout/metrics.jsonl

Turn it on, and off again:

    curl -X POST $name/async_upload/control/uploads/enable
    curl -X POST $name/async_upload/control/uploads/rollback

The rules are in $shown/conf/$flags; after an edit

    ./build.sh reload$option

Ctrl-C stops it; what was uploaded stays, and so does the rollout's state.
END

    if [ -z "$(PATH=$system_path type -P curl)" ]; then
        say ''
        say "curl is not installed here; ./build.sh exec curl ... has it."
    fi

    cd "$demo" || die "run: cannot enter $demo"
    end_turn
    exec "$nginx" -p "$demo" -c conf/nginx.conf -g "$globals" -e logs/error.log
}


command_reload() {
    local pid before after arg

    for arg; do
        case $arg in
            --dir=?*) demo=$(realpath -m "${arg#*=}") ;;
            *)        die "reload: invalid argument \"$arg\"" ;;
        esac
    done

    pid=$(demo_pid) || die "reload: the demo does not run; ./build.sh run"

    deps_build
    nginx=$(readlink "/proc/$pid/exe")

    "$nginx" -t -q -p "$demo" -c conf/nginx.conf -e logs/error.log \
        || die "reload: the demo goes on with what it had"

    # until there is a worker with the new configuration

    before=$(children "$pid")
    kill -HUP "$pid"

    for _ in {1..100}; do
        for after in $(children "$pid"); do
            if [[ " $before " != *" $after "* ]]; then
                say "reloaded"
                return
            fi
        done
        sleep 0.05
    done

    die "reload: see $demo/logs/error.log"
}


children() {
    tr '\n' ' ' <"/proc/$1/task/$1/children"
}


# demo_pid: the demo's process, if it runs.

demo_pid() {
    local pid

    pid=$(cat "$demo/logs/nginx.pid" 2>/dev/null) || return 1

    [ -n "$pid" ] && tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" \
        | grep -q nginx && printf '%s' "$pid"
}


port_is_free() {
    ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}
