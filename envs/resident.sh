# The resident shell of a sandbox: reads requests on standard input, one at a time, and never exits by itself.
# Plain POSIX sh; outside programs are needed by the commands it runs, not by itself.
#
#   r NONCE LINES   run the command on the next LINES lines          -> its output, NONCE | NONCE STATUS READ WRITTEN
#   x NONCE LINES   run the program and arguments on the next LINES lines, one a line   -> the same
#   i NONCE LINES   run the script on the next LINES lines in a fork of this shell      -> the same
#   w NONCE BYTES LINES   path on the next LINES lines, then BYTES bytes of content  -> NONCE | NONCE STATUS
#   k NONCE         kill every process but this shell and PID 1      -> NONCE | NONCE 137
#   q NONCE         is the command's watcher alive? says so only if not -> (nothing) | NONCE lost
#   s NONCE         synchronise both streams                         -> NONCE | NONCE 0
#   t NONCE LINES   print the files named on the next LINES lines    -> their lines, NONCE | NONCE 0
#
# Left of the bar is what appears on standard output, right of it on standard error (descriptor 3 here), which
# commands never hold. The two are not ordered against each other, so each ends with the nonce of the request.
exec 3>&2 2>/dev/null
workdir=$1
if command -v bash >/dev/null; then shell=$(command -v bash); else shell=$(command -v sh); fi
session=$(command -v setsid)
watcher=

# Whether a pipe blocks is a property of the opened file, which whoever inherits it shares: a program that makes its
# output non-blocking and leaves it so (Claude Code) would have later output, nonces too, fail as soon as the pipe is
# full. So each command gets the pipe opened anew. Where it is none (a socket) this cannot be done.
if true >/proc/self/fd/1; then anew=1; else anew=; fi

# Without a network of the engine's, nobody has told this machine its own name.
known=
while IFS= read -r line || [ -n "$line" ]; do known="$known $line"; done </etc/hosts
case $known in
*localhost*) ;;
*) printf '\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n' >>/etc/hosts ;;
esac

lines() { # lines N: the next N lines into $body
    body= more=
    while [ "$1" -gt 0 ]; do
        IFS= read -r line
        body=$body$more$line
        more='
'
        set -- $(($1 - 1))
    done
}

answer() { # answer STATUS [READ WRITTEN]
    printf '%s' "$nonce"
    printf '%s %s\n' "$nonce" "$*" >&3
}

finish() { # finish STATUS: with what the command and all it waited for read from and wrote to storage
    while IFS=' ' read -r key value; do
        case $key in
        read_bytes:) set -- "$1" "$value" ;;
        write_bytes:) set -- "$1" "$2" "$value" && break ;;
        esac
    done </proc/self/io
    answer "$@"
}

begin() { # what a command finds, its output as descriptor 4; first in line for the kernel's out-of-memory killer
    echo 800 >/proc/self/oom_score_adj
    if [ "$anew" ]; then exec 4>/proc/self/fd/1; else exec 4>&1; fi
    cd "$workdir" || cd /
}

command_line() { # command_line COMMAND: by the shell, in a session of its own
    if [ -x "$shell" ]; then
        $session "$shell" -c "$1" </dev/null >&4 2>&1 3>&- 4>&-
    else # this shell's own image is still in memory after its file is gone
        (eval "$1") </dev/null >&4 2>&1 3>&- 4>&-
    fi
}

program() { # program NAME ARGUMENT...: what needs no shell gets none
    if command -v "$1" >/dev/null; then
        $session "$@" </dev/null >&4 2>&1 3>&- 4>&-
    else
        printf '%s: command not found\n' "$1"
        return 127
    fi
}

words() { # words N: the next N lines become "$@" of `program`
    count=$1
    set --
    while [ "$count" -gt 0 ]; do
        IFS= read -r line
        set -- "$@" "$line"
        count=$((count - 1))
    done
    {
        begin
        program "$@"
        finish $?
    } &
    watcher=$!
}

store() { # store BYTES PATH
    case $2 in */*) [ -d "${2%/*}/" ] || mkdir -p "${2%/*}/" ;; esac
    if [ ! -p "$2" ] && true >>"$2"; then head -c "$1" >"$2"; else head -c "$1" >/dev/null && return 1; fi
}

printf 'ready %s\n' "$shell" >&3
while IFS=' ' read -r verb nonce first second; do
    jobs >/dev/null # buries the watchers of earlier commands; `wait` would wait for what still runs
    case $verb in
    r)
        lines "$first"
        {
            begin
            command_line "$body"
            finish $?
        } &
        watcher=$!
        ;;
    x) words "$first" ;;
    i)
        lines "$first"
        {
            begin
            (eval "$body") </dev/null >&4 2>&1 3>&- 4>&-
            finish $?
        } &
        watcher=$!
        ;;
    w)
        lines "$second"
        store "$first" "$body"
        answer $?
        ;;
    k)
        kill -9 -1
        answer 137
        ;;
    q)
        kill -0 "$watcher" || printf '%s lost\n' "$nonce" >&3
        ;;
    s) answer 0 ;;
    t)
        lines "$first"
        blanks=$IFS IFS='
'
        for file in $body; do
            printf '@%s\n' "$file"
            while IFS= read -r line; do printf '%s\n' "$line"; done <"$file"
        done
        IFS=$blanks
        answer 0
        ;;
    esac
done
