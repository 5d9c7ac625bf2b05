# Ends what the kernel leaves. Arguments: the folder to delete, and the mark of all its commands.
#
# Standard input has lines of processes, PID:START each, every line in place of the one before. At
# its end the kernel has ended: then those of the last line are ended with their groups, and all that
# carry the mark, wherever they went. A number that is another process's by now is left alone.
trap '' INT HUP TERM
all= mark=$1
while read -r line; do all=$line; done
marked() { grep -ls "$mark" /proc/[0-9]*/environ | tr -dc '0-9\n'; }
same() {
  [ -e /proc/self/stat ] || return 0
  read -r stat < "/proc/${1%:*}/stat" && set -- "$1" ${stat##*) } && [ "${21}" = "${1#*:}" ]
}
end() {
  for process in $all; do
    same "$process" && { kill -s "$1" -- "-${process%:*}" || kill -s "$1" "${process%:*}"; }
  done
  for pid in $(marked); do grep -qs "$mark" "/proc/$pid/environ" && kill -s "$1" "$pid"; done
}
{ end HUP; end TERM; } 2>/dev/null
[ -z "$all$(marked)" ] || sleep 0.5
end KILL 2>/dev/null
rm -rf "$0"
