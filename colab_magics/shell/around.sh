# Around a command: begins with the state of the shell before, and writes its own however it ends.
__cm_folder=$1; __cm_env=$2; __cm_done=; __cm_write='@state@'; shift 2;
@begin@;
# the first shell of all also writes how it is before its command
__cm_s=0; __cm_to=before; [ -e "$__cm_folder/state" ] || eval "$__cm_write";
@before@;
# where the command leaves the shell, by exit or by a signal
trap '{ __cm_s=$?; __cm_to=after; [ "$__cm_done" ] || eval "$__cm_write"; } 2>/dev/null' EXIT;
trap 'exit 130' INT; trap 'exit 143' TERM; trap 'exit 129' HUP;
[ ! -e "$__cm_folder/state" ] || . "$__cm_folder/state" 2>/dev/null;
eval "$__cm_command";
# where it comes to its end
{ __cm_s=$?; __cm_done=1; __cm_to=after; trap '' INT TERM HUP; eval "$__cm_write"; } 2>/dev/null;
exit "$__cm_s"
