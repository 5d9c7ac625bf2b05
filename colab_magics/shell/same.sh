# Whether the environment of bash is as it was; where a file cannot be written, it counts as changed.
@exports@;
IFS= builtin read -r -d "" __cm_x < "$__cm_folder/exports";
IFS= builtin read -r -d "" __cm_y < "$__cm_folder/exports_after";
builtin [ -n "$__cm_x" ] && builtin [ "$__cm_x" = "$__cm_y" ] &&
# a file that BASH_ENV names may have changed it before
builtin [ -z "${BASH_ENV-}" ]
