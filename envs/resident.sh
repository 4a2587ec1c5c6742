# The resident shell of a sandbox: reads requests on standard input, one at a time, and never exits by itself.
# Plain POSIX sh; outside programs are needed by the commands it runs, not by itself.
#
#   r NONCE LINES   run the command on the next LINES lines          -> its output, then NONCE STATUS READ WRITTEN
#   x NONCE LINES   run the program and arguments on the next LINES lines, one a line   -> the same
#   R, X            like r and x, by the process that is kept ready, if there can be one
#   i NONCE LINES   run the script on the next LINES lines in a fork of this shell      -> the same
#   w NONCE BYTES LINES   path on the next LINES lines, then BYTES bytes of content     -> NONCE STATUS
#   k NONCE         end every process but this shell and PID 1       -> NONCE 137
#   q NONCE         is the command's watcher alive? says so only if not -> (nothing), or NONCE lost
#   s NONCE         synchronise                                      -> NONCE 0
#   t NONCE LINES   print the files named on the next LINES lines    -> their lines, then NONCE 0
#
# Commands write to the same pipe, but do not know the nonce of their request; an answer is one write, which nothing of
# theirs can get into. A nonce comes in two halves with a dash between, and goes back without it: a request that is
# caught and shown is no answer.
#
# For commands asked for in capitals, an attendant (a fork of this shell) keeps a process of a session of its own ready,
# which becomes the next command: to start one takes longer than most commands do. Descriptor 5 is a pipe to that
# process (the attendant's 7), 6 one by which it tells the attendant whose command it is about to become.
exec 2>/dev/null
workdir=$1
if command -v bash >/dev/null; then shell=$(command -v bash); else shell=$(command -v sh); fi
session=$(command -v setsid)
watcher= attendant= was_read=0 was_written=0

# Whether a pipe blocks is a property of the opened file, which whoever inherits it shares: a program that makes its
# output non-blocking and leaves it so (Claude Code) would have later output, nonces too, fail as soon as the pipe is
# full. So each command gets the pipe opened anew. Where it is none (a socket) this cannot be done.
if true >/proc/self/fd/1; then anew=1; else anew=; fi

# What is kept ready is this shell again. Others than dash count their levels in the environment; commands are not to
# see one more.
exec 7<<'END'
END
ahead=
[ "$session" ] && [ -z "$SHLVL" ] && [ -p /proc/self/fd/7 ] && true <>/proc/self/fd/7 && ahead=1
exec 7<&-

# Without a network of the engine's, nobody has told this machine its own name.
known=
while IFS= read -r line || [ -n "$line" ]; do known="$known $line"; done </etc/hosts
case $known in
*localhost*) ;;
*) printf '\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n' >>/etc/hosts ;;
esac

line_end='
'
lines() { # lines N: the next N lines into $body
    body= more=
    while [ "$1" -gt 0 ]; do
        IFS= read -r line
        body=$body$more$line
        more=$line_end
        set -- $(($1 - 1))
    done
}

answer() { # answer STATUS [READ WRITTEN]
    printf '%s%s %s\n' "${nonce%-*}" "${nonce#*-}" "$*"
}

finish() { # finish STATUS: with what the command and all it waited for read from and wrote to storage
    while IFS=' ' read -r key value; do
        case $key in
        read_bytes:) set -- "$1" $((value - was_read)) && was_read=$value ;;
        write_bytes:) set -- "$1" "$2" $((value - was_written)) && was_written=$value && break ;;
        esac
    done </proc/self/io
    answer "$@"
}

begin() { # its output as descriptor 4; first in line for the kernel's out-of-memory killer
    echo 800 >/proc/self/oom_score_adj
    if [ "$anew" ]; then exec 4>/proc/self/fd/1; else exec 4>&1; fi
}

command_line() { # command_line COMMAND: by the shell, in a session of its own
    if [ -x "$shell" ]; then
        $session "$shell" -c "$1" </dev/null >&4 2>&1 4>&- 5>&- 6>&- 7>&-
    else # this shell's own image is still in memory after its file is gone
        (eval "$1") </dev/null >&4 2>&1 4>&- 5>&- 6>&- 7>&-
    fi
}

program() { # program NAME ARGUMENT...: what needs no shell gets none
    if command -v "$1" >/dev/null; then
        $session "$@" </dev/null >&4 2>&1 4>&- 5>&- 6>&- 7>&-
    else
        printf '%s: command not found\n' "$1"
        return 127
    fi
}

words() { # words FUNCTION BODY: calls it with the lines of BODY
    call=$1 body=$2
    set --
    while case $body in *"$line_end"*) ;; *) false ;; esac; do
        set -- "$@" "${body%%"$line_end"*}"
        body=${body#*"$line_end"}
    done
    $call "$@" "$body"
}

run() { # run VERB BODY: in a fork of this shell
    cd / && cd "$workdir" || cd /
    case $1 in
    r) command_line "$2" ;;
    x) words program "$2" ;;
    esac
}

# Becomes the command of the next request on its standard input. `$0` is the shell for commands.
becoming='
workdir=$1 session=$2
while IFS=" " read -r verb nonce count; do
    case $verb in r | x) break ;; esac
done
[ "$nonce" ] || exit
set --
body= more=
while [ "$count" -gt 0 ]; do
    IFS= read -r line
    case $verb in
    r) body=$body$more$line ;;
    x) set -- "$@" "$line" ;;
    esac
    more="
"
    count=$((count - 1))
done
printf "%s\n" "$nonce" >&6
cd / && cd "$workdir" || cd /
exec </dev/null >&4 2>&1 4>&- 6>&-
if [ "$verb" = r ]; then
    [ -x "$0" ] && exec "$0" -c "$body"
    eval "$body"
    exit
fi
if ! command -v "$1" >/dev/null; then
    printf "%s: command not found\n" "$1"
    exit 127
fi
case $1 in */*) [ -f "$1" ] && [ -x "$1" ] || exec "$session" -w "$@" ;; esac
exec "$@"
'

attend() { # the life of an attendant
    begin
    exec 8<<'END'
END
    exec 6<>/proc/self/fd/8 8<&- 5>&-
    turn=0
    while :; do
        begin
        $session "/proc/$$/exe" -c "$becoming" "$shell" "$workdir" "$session" <&7 7<&-
        status=$? turn=$((turn + 1)) nonce=
        printf '%s\n' "$turn" >&6
        while IFS= read -r line <&6 && [ "$line" != "$turn" ]; do
            case $line in ????????????????-????????????????) nonce=${nonce:-$line} ;; esac
        done
        [ "$nonce" ] || stand_in
        finish "$status"
    done
}

stand_in() { # what was kept ready could not be started, or was killed: the next request without it
    verb=
    while case $verb in r | x) false ;; esac; do IFS=' ' read -r verb nonce first <&7 || exit; done
    lines "$first" <&7
    run "$verb" "$body"
    status=$?
}

hand_over() { # the request goes to the attendant
    if ! kill -0 "$attendant"; then
        exec 7<<'END'
END
        exec 5<>/proc/self/fd/7
        attend &
        attendant=$!
        exec 7<&-
    fi
    watcher=$attendant
    printf '\n%s %s %s\n%s\n' "$verb" "$nonce" "$first" "$body" >&5
}

uptime() { # whole seconds, into $up
    IFS=' .' read -r up rest </proc/uptime
}

anybody() { # is there a process left that this shell may kill?
    for process in /proc/[0-9]*; do
        process=${process#/proc/}
        [ "$process" = 1 ] || [ "$process" = $$ ] || ! kill -0 "$process" || return 0
    done
    return 1
}

end_all() { # a process counts against the limit until it is buried, and a fork that is denied would end this shell
    uptime
    began=$up
    while
        kill -9 -1
        jobs >/dev/null
        uptime
        anybody && [ $((up - began)) -lt 6 ]
    do :; done
}

store() { # store BYTES PATH
    case $2 in */*) [ -d "${2%/*}/" ] || mkdir -p "${2%/*}/" ;; esac
    if [ ! -p "$2" ] && true >>"$2"; then head -c "$1" >"$2"; else head -c "$1" >/dev/null && return 1; fi
}

while IFS=' ' read -r verb nonce first second; do
    jobs >/dev/null # buries the watchers of earlier commands; `wait` would wait for what still runs
    case $verb in
    r | x | R | X)
        lines "$first"
        case $verb in
        R) verb=r kept=$ahead ;;
        X) verb=x kept=$ahead ;;
        *) kept= ;;
        esac
        if [ "$kept" ] && [ ${#body} -lt 1000 ]; then # what a pipe takes at once
            hand_over
        else
            {
                begin
                run "$verb" "$body"
                finish $?
            } &
            watcher=$!
        fi
        ;;
    i)
        lines "$first"
        {
            begin
            cd "$workdir" || cd /
            (eval "$body") </dev/null >&4 2>&1 4>&- 5>&- 6>&- 7>&-
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
        attendant=
        end_all
        answer 137
        ;;
    q)
        kill -0 "$watcher" || answer lost
        ;;
    s) answer 0 ;;
    t)
        lines "$first"
        blanks=$IFS IFS=$line_end
        for file in $body; do
            printf '@%s\n' "$file"
            while IFS= read -r line; do printf '%s\n' "$line"; done <"$file"
        done
        IFS=$blanks
        answer 0
        ;;
    esac
done
