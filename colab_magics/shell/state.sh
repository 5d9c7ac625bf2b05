# Has a shell write its state, each part behind a zero byte. It is in single quotes in around.sh, so
# that there are none here.
{
# the directory; where PWD is stale, the real one
__cm_d=${PWD-}; [ "$__cm_d" -ef . ] || __cm_d=$(pwd -P);
printf "%s\0" "$__cm_s" "${__cm_d:-$PWD}";
@options@; printf "\0"; @aliases@; printf "\0"; @functions@; printf "\0"; @values@;
# the environment, where it has changed
if @same@; then printf "=SAME\0"; else printf "=ENV\0"; "$__cm_env" -0; fi;
printf "END\0";
} >| "$__cm_folder/$__cm_to" 2>/dev/null
