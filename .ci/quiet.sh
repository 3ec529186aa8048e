# shellcheck shell=sh
# SPDX-License-Identifier: BSL-1.0
# Sourced by the scripts beside it.

# quiet LOG COMMAND...: runs the command with its output in LOG, and prints LOG only when it fails.
# Meanwhile a terminal shows the last line of the output.
quiet() {
  quiet_log=$1
  shift
  quiet_status=0
  if [ -t 1 ]; then
    { "$@" </dev/null 2>&1 || echo "$?" >"$quiet_log.failed"; } | while IFS= read -r line; do
      printf '%s\n' "$line"
      printf '\r\033[K%.78s' "$line" >&2
    done >"$quiet_log"
    printf '\r\033[K' >&2
    [ ! -e "$quiet_log.failed" ] || { quiet_status=1; rm "$quiet_log.failed"; }
  else
    "$@" >"$quiet_log" 2>&1 </dev/null || quiet_status=$?
  fi
  [ "$quiet_status" = 0 ] || cat "$quiet_log"
  return "$quiet_status"
}
