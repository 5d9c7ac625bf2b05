# Around a command that leaves nothing to the next one. What it begins with may hold secrets.
__cm_folder=$1; shift;
@begin@;
[ ! -e "$__cm_folder/state" ] || . "$__cm_folder/state" 2>/dev/null;
PATH="${PATH-}:/bin:/usr/bin" rm -rf -- "$__cm_folder"; unset __cm_folder;
eval "$__cm_command"
