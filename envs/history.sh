# Make a repository show nothing but its past: arguments are its folder and the base commit ("" for HEAD).
# Prints `clean`, `changed` or `no repository`. Runs once for an image; what it changes becomes a prepared image.
cd "$1" 2>/dev/null && command -v git >/dev/null && git rev-parse --git-dir >/dev/null 2>&1 || { echo "no repository"; exit 0; }
git() { command git -c safe.directory='*' -c core.hooksPath=/dev/null -c gc.auto=0 "$@"; }
dir=$(git rev-parse --git-dir)
base=$2
changed=

# Commits between the base and HEAD may describe the fix: they become one without a story.
if [ -n "$base" ] && git merge-base --is-ancestor "$base" HEAD 2>/dev/null \
    && [ "$(git rev-list --count "$base"..HEAD)" -gt 1 ]; then
    one=$(GIT_AUTHOR_NAME=base GIT_AUTHOR_EMAIL=base@localhost GIT_COMMITTER_NAME=base GIT_COMMITTER_EMAIL=base@localhost \
        GIT_AUTHOR_DATE='2000-01-01T00:00:00Z' GIT_COMMITTER_DATE='2000-01-01T00:00:00Z' \
        git commit-tree 'HEAD^{tree}' -p "$base" -m 'Environment') && git update-ref HEAD "$one" && changed=yes
fi
for remote in $(git remote); do git remote remove "$remote" && changed=yes; done
current=$(git symbolic-ref -q HEAD)
for ref in $(git for-each-ref --format='%(refname)'); do
    [ "$ref" = "$current" ] && continue
    case $ref in
    refs/tags/* | refs/heads/*) git merge-base --is-ancestor "$ref" HEAD 2>/dev/null && continue ;;
    esac
    git update-ref -d "$ref" && changed=yes
done
for trace in logs FETCH_HEAD ORIG_HEAD MERGE_HEAD CHERRY_PICK_HEAD REVERT_HEAD AUTO_MERGE worktrees; do
    [ -e "$dir/$trace" ] && rm -rf "${dir:?}/$trace" && changed=yes
done
if [ -e "$dir/objects/info/alternates" ]; then # borrowed objects come home, what they came with does not
    git repack -a -d -q && rm "$dir/objects/info/alternates" && changed=yes
fi
if [ -n "$(git fsck --unreachable --no-reflogs --connectivity-only 2>/dev/null | head -n 1)" ]; then
    git repack -a -d -q && git prune --expire=now && git prune-packed -q
    changed=yes
fi
if [ -n "$changed" ]; then echo changed; else echo clean; fi
