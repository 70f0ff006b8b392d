# shellcheck shell=bash
# shellcheck disable=SC2154

# Copyright (C) 2026 the ngx_http_async_upload_module authors

# A part of build.sh: fetches what the system lacks into build/deps.
#
#   apt/          the private apt configuration, its lists and downloads
#   root/         packages of this distribution, unpacked
#   newer/        nginx, its development files and libraries of a newer suite
#   test-nginx/   Test::Nginx, if this distribution does not have it
#   source/       nginx' source, from this distribution
#   stamps/       what each step was last done for
#
# apt-get reads the system's lists of installed packages and of sources, and
# writes below apt/ alone.


packages_build="gcc make libc6-dev libpcre2-dev libssl-dev zlib1g-dev
    libjansson-dev curl"

packages_test="perl openssl libtest-base-perl libtest-longstring-perl
    liblist-moreutils-perl libtext-diff-perl libipc-run-perl libwww-perl
    liburi-perl libhttp-message-perl procps iproute2 patchelf
    valgrind"

root=$deps/root
triple=$(uname -m)-linux-gnu

system_path=$PATH
system_libraries=${LD_LIBRARY_PATH:-}
system_perl=${PERL5LIB:-}


# deps_build: for building and running; deps_test: for the tests.

deps_build() {
    step build deps_build_key deps_build_do
    use_root
}


deps_test() {
    step test deps_test_key deps_test_do
    use_root
    deps_test_nginx
    deps_newer
    deps_source
}


deps_build_key() {
    # shellcheck disable=SC2086
    missing $packages_build
    distribution_root
}


deps_build_do() {
    # shellcheck disable=SC2086
    unpack_missing $packages_build

    # nginx' own packages are never installed, as that would start a server

    if [ "$(distribution_root)" != "" ]; then
        unpack_alone native "$root" nginx nginx-dev
    fi
}


deps_test_key() {
    # shellcheck disable=SC2086
    missing $packages_test
}


deps_test_do() {
    # shellcheck disable=SC2086
    unpack_missing $packages_test
}


# distribution_root: below which this distribution's nginx and its development
# files are; empty if they are installed in the system.

distribution_root() {
    if [ -n "$(missing nginx nginx-dev)" ]; then
        printf '%s' "$root"
    fi
}


# step NAME KEY DO: runs the function DO unless it was done for what the
# function KEY says now.

step() {
    local stamp=$deps/stamps/$1 key

    key=$(printf '%s\n' "$top"; "$2")

    if [ "$(cat "$stamp" 2>/dev/null)" != "$key" ]; then
        "$3"
        mkdir -p "$deps/stamps"
        printf '%s\n' "$key" >"$stamp"
    fi
}


# missing PACKAGE...: those that are not installed.

missing() {
    local name status

    for name; do
        status=$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null) \
            || true

        if [ "$status" != installed ]; then
            printf '%s\n' "$name"
        fi
    done
}


# unpack_missing PACKAGE...: unpacks those that are not installed, with whatever
# they need and the system lacks, below "root".

unpack_missing() {
    local wanted archives=$deps/apt/archives file

    mapfile -t wanted < <(missing "$@")

    if [ ${#wanted[@]} = 0 ]; then
        return
    fi

    say "fetching ${wanted[*]}"

    apt_update native
    rm -f "$archives"/*.deb
    private_apt native install --download-only --no-install-recommends \
        --no-upgrade --yes "${wanted[@]}"

    for file in "$archives"/*.deb; do
        case ${file##*/} in
            libc6_* | libc-bin_*)
                # The system's own is of the same release; another one must not
                # be mixed with the system's dynamic loader.
                ;;
            *)
                unpack "$file" "$root"
                ;;
        esac
    done

    fix_root
}


# unpack_alone SOURCES DIR PACKAGE...: unpacks the packages below DIR, without
# what they need.

unpack_alone() {
    local sources=$1 dir=$2 archives=$deps/apt/archives file

    shift 2

    say "fetching $*"

    apt_update "$sources"
    rm -f "$archives"/*.deb
    (cd "$archives" && private_apt "$sources" download "$@")

    for file in "$archives"/*.deb; do
        unpack "$file" "$dir"
    done
}


# unpack FILE DIR: as in a system of today, /bin, /lib and so on are in /usr.

unpack() {
    local name

    mkdir -p "$2/usr"

    for name in bin lib lib64 sbin; do
        mkdir -p "$2/usr/$name"
        if [ ! -e "$2/$name" ]; then
            ln -s "usr/$name" "$2/$name"
        fi
    done

    dpkg-deb --fsys-tarfile "$1" | tar -x -C "$2" --keep-directory-symlink \
        --no-same-owner --exclude='./usr/share/doc' --exclude='./usr/share/man'
}


# fix_root: what installing would have done, and absolute names.

fix_root() {
    local lib=$root/usr/lib/$triple file target

    # linker scripts name files by absolute paths, which may exist here only

    for file in "$lib"/*.so; do
        if [ -f "$file" ] && [ ! -L "$file" ] && grep -qI GROUP "$file"; then
            grep -o '/[^ )]*/[^ )]*\.[^ )]*' "$file" | while read -r target; do
                if [ ! -e "$target" ] && [ -e "$root$target" ]; then
                    sed -i "s|\([( ]\)$target|\1$root$target|" "$file"
                fi
            done
        fi
    done

    # and links point to files that are here or in the system alone, which
    # matters: the linker would take a static library instead

    find "$root" -xtype l | while read -r file; do
        target=$(readlink "$file")

        case $target in
            /*) ;;
            *)  target=$(dirname "${file#"$root"}")/$target ;;
        esac

        if [ -e "$root$target" ]; then
            ln -sf "$root$target" "$file"
        elif [ -e "$target" ]; then
            ln -sf "$target" "$file"
        fi
    done

    # the alternative that gcc's package would have registered

    if [ -e "$root/usr/bin/gcc" ] && [ ! -e "$root/usr/bin/cc" ]; then
        ln -s gcc "$root/usr/bin/cc"
    fi
}


# use_root: commands, libraries, headers and Perl modules from "root", before
# the system's; may be called again when there is more in it.

use_root() {
    local lib=$root/usr/lib/$triple dir perl=

    if [ ! -d "$root/usr" ]; then
        return
    fi

    export PATH=$root/usr/sbin:$root/usr/bin:$system_path
    export LD_LIBRARY_PATH=$lib${system_libraries:+:$system_libraries}
    export LIBRARY_PATH=$lib
    export C_INCLUDE_PATH=$root/usr/include/$triple:$root/usr/include

    for dir in "$root"/usr/share/perl5 "$lib"/perl5/[0-9]* \
               "$root"/usr/share/perl/[0-9]* "$lib"/perl/[0-9]*
    do
        if [ -d "$dir" ]; then
            perl=$perl:$dir
        fi
    done

    export PERL5LIB=${perl#:}${system_perl:+:$system_perl}

    if [ -d "$root/usr/libexec/valgrind" ]; then
        export VALGRIND_LIB=$root/usr/libexec/valgrind
    fi
}


# private_apt SOURCES ARGUMENT...: apt-get with a private configuration; SOURCES
# is "native", this distribution, "source", its source packages, or "newer".

private_apt() {
    local sources=$1

    shift
    apt-get -q -c "$deps/apt/$sources.conf" "$@" >"$deps/apt/log" 2>&1 || {
        tail -n 20 "$deps/apt/log" >&2
        die "failed: apt-get $*"
    }
}


# apt_update SOURCES: reads the package lists, once in a run of build.sh.

apt_update() {
    local sources=$1 dir=$deps/apt/$1

    if [[ " ${apt_updated:-} " == *" $sources "* ]]; then
        return
    fi

    mkdir -p "$dir/lists/partial" "$deps/apt/archives/partial"
    "apt_sources_$sources" >"$dir.sources"

    if [ ! -s "$dir.sources" ]; then
        die "no source of Debian packages found in /etc/apt"
    fi

    cat >"$dir.conf" <<END
Dir::State "$dir";
Dir::State::status "/var/lib/dpkg/status";
Dir::Cache "$dir";
Dir::Cache::archives "$deps/apt/archives";
Dir::Etc::sourcelist "$dir.sources";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Debug::NoLocking "true";
APT::Sandbox::User "root";
APT::Get::List-Cleanup "false";
Acquire::Languages "none";
Acquire::Retries "3";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
END

    private_apt "$sources" update
    apt_updated="${apt_updated:-} $sources"
}


# apt_sources_native: the system's own sources of this release, in deb822 form,
# with their mirrors, keys and options.

apt_sources_native() {
    local codename

    # shellcheck disable=SC1091
    codename=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")

    apt_sources | awk -v codename="$codename" '
        BEGIN { RS = ""; FS = "\n" }
        {
            suites = components = ""
            rest = ""
            for (i = 1; i <= NF; i++) {
                if ($i ~ /^Suites:/) {
                    n = split(substr($i, 8), word, " ")
                    for (j = 1; j <= n; j++) {
                        if (word[j] ~ "^" codename "(-updates|-security)?$") {
                            suites = suites " " word[j]
                        }
                    }
                } else if ($i ~ /^Components:.* main( |$)/) {
                    components = " main"
                } else if ($i !~ /^Components:/) {
                    rest = rest $i "\n"
                }
            }
            if (suites != "" && components != "") {
                printf "Types: deb\nSuites:%s\nComponents: main\n", suites
                printf "Targets: Packages\n%s\n", rest
            }
        }'
}


# apt_sources_source: the same for source packages.

apt_sources_source() {
    apt_sources_native | sed 's/^Types: deb$/Types: deb-src/
                              s/^Targets: Packages$/Targets: Sources/'
}


# apt_sources_newer: the newer suite, from the same mirror.

apt_sources_newer() {
    local keys=/usr/share/keyrings/debian-archive-keyring.gpg

    apt_sources_native | awk -v suite="$newer_suite" -v keys=$keys '
        BEGIN { RS = ""; FS = "\n" }
        !done && $0 !~ /-security/ {
            for (i = 1; i <= NF; i++) {
                print ($i ~ /^Suites:/) ? "Suites: " suite : $i
            }
            if ($0 !~ /\nSigned-By:/) {
                print "Signed-By: " keys
            }
            done = 1
        }'
}


# apt_sources: every enabled source of binary packages in /etc/apt, one stanza
# each, without its types.

apt_sources() {
    local etc=/etc/apt file

    for file in "$etc"/sources.list.d/*.sources; do
        if [ -f "$file" ]; then
            sed '/^#/d' "$file" | awk '
                BEGIN { RS = ""; FS = "\n" }
                /(^|\n)Types:[^\n]*deb( |\n|$)/ && !/\nEnabled: *no/ {
                    for (i = 1; i <= NF; i++) {
                        if ($i !~ /^(Types|Enabled|Targets):/) {
                            print $i
                        }
                    }
                    print ""
                }'
        fi
    done

    for file in "$etc"/sources.list "$etc"/sources.list.d/*.list; do
        if [ -f "$file" ]; then
            sed 's/#.*//; /cdrom:/d' "$file" | awk '
                $1 == "deb" {
                    sub(/^[ \t]*deb[ \t]+/, "")
                    options = ""
                    if (match($0, /\[[^]]*\]/)) {
                        options = substr($0, RSTART + 1, RLENGTH - 2)
                        $0 = substr($0, 1, RSTART - 1) \
                             substr($0, RSTART + RLENGTH)
                    }
                    printf "URIs: %s\nSuites: %s\nComponents:", $1, $2
                    for (i = 3; i <= NF; i++) {
                        printf " %s", $i
                    }
                    print ""
                    n = split(options, option, " ")
                    for (i = 1; i <= n; i++) {
                        eq = index(option[i], "=")
                        name = substr(option[i], 1, eq - 1)
                        value = substr(option[i], eq + 1)
                        gsub(",", " ", value)
                        if (name == "signed-by") {
                            print "Signed-By: " value
                        } else if (name == "check-valid-until") {
                            print "Check-Valid-Until: " value
                        } else if (name == "trusted") {
                            print "Trusted: " value
                        }
                    }
                    print ""
                }'
        fi
    done
}


# deps_newer: nginx of the newer suite with the libraries it needs, to run
# beside the older ones of this system.

deps_newer() {
    step newer deps_newer_key deps_newer_do
}


deps_newer_key() {
    printf '%s\n' "$newer_suite"
}


deps_newer_do() {
    local dir=$deps/newer lib=$deps/newer/usr/lib/$triple loader packages

    if [ -z "$(type -P patchelf)" ]; then
        unpack_missing patchelf
        use_root
    fi

    rm -rf "$dir"

    # the libraries that nginx depends on, and those that these depend on

    apt_update newer
    packages=$(newer_libraries nginx)
    # shellcheck disable=SC2086
    packages=$(newer_libraries $packages; printf '%s\n' $packages)
    # shellcheck disable=SC2046,SC2086
    unpack_alone newer "$dir" nginx nginx-dev \
        $(printf '%s\n' $packages | sort -u)

    # DT_RPATH, unlike DT_RUNPATH, comes before LD_LIBRARY_PATH

    loader=$(patchelf --print-interpreter "$dir/usr/sbin/nginx")
    patchelf --set-interpreter "$lib/${loader##*/}" --force-rpath \
        --set-rpath "$lib" "$dir/usr/sbin/nginx"

    quietly "$deps/newer.log" "$dir/usr/sbin/nginx" -V
}


# newer_libraries PACKAGE...: the libraries that packages depend on.

newer_libraries() {
    apt-cache -c "$deps/apt/newer.conf" depends --important "$@" \
        | sed -n 's/^ *Depends: \(lib[^:]*\|zlib[^:]*\)$/\1/p' | sort -u
}


# deps_test_nginx: Test::Nginx from this distribution or from the newer suite,
# where it is a package, else from CPAN.

deps_test_nginx() {
    step test-nginx deps_test_nginx_key deps_test_nginx_do
    use_test_nginx

    perl -MTest::Nginx::Util -e 1 >"$deps/test-nginx.log" 2>&1 \
        || die "Test::Nginx does not load: $(cat "$deps/test-nginx.log")"
}


use_test_nginx() {
    if [ -d "$deps/test-nginx/usr/share/perl5" ]; then
        PERL5LIB=$deps/test-nginx/usr/share/perl5${PERL5LIB:+:$PERL5LIB}
    elif [ -d "$deps/test-nginx/lib/perl5" ]; then
        PERL5LIB=$deps/test-nginx/lib/perl5${PERL5LIB:+:$PERL5LIB}
    fi

    export PERL5LIB=${PERL5LIB:-}
}


deps_test_nginx_key() {
    missing libtest-nginx-perl
}


deps_test_nginx_do() {
    local dir=$deps/test-nginx sources

    if [ -z "$(missing libtest-nginx-perl)" ]; then
        return
    fi

    for sources in native newer; do
        apt_update $sources
        if apt-cache -c "$deps/apt/$sources.conf" show libtest-nginx-perl \
            >/dev/null 2>&1
        then
            unpack_alone $sources "$dir" libtest-nginx-perl
            return
        fi
    done

    say "fetching Test::Nginx from CPAN"

    PERL_MM_USE_DEFAULT=1 PERL_MM_OPT="INSTALL_BASE=$dir" \
        PERL_MB_OPT="--install_base $dir" \
        quietly "$deps/cpan.log" cpan -T -i Test::Nginx
}


# deps_source: nginx' source, as this distribution has it before its patches.

deps_source() {
    step source deps_source_key deps_source_do
}


deps_source_key() {
    nginx_version "$(distribution_root)/usr/share/nginx/src"
}


deps_source_do() {
    local archives=$deps/apt/archives file

    say "fetching nginx' source"

    apt_update source
    rm -rf "$archives"/*.tar.* "$deps/source"
    (cd "$archives" && private_apt source source --tar-only nginx)

    mkdir -p "$deps/source"
    for file in "$archives"/nginx_*.orig.tar.*; do
        tar -x -f "$file" -C "$deps/source" --strip-components=1 \
            --no-same-owner
    done
}
