# shellcheck shell=sh
# SPDX-License-Identifier: BSL-1.0
# Sourced by .ci/check and .ci/run. Runs steps, goes on when one fails, and adds up their counts.
# A step that runs tests appends its counts to $RINGBELL_TALLY, as tests/support/summary.py does.
# Any other step counts as one.

if [ "${RINGBELL_TALLY:-}" ]; then
  outermost=no
else
  outermost=yes
  RINGBELL_TALLY=$(mktemp)
  export RINGBELL_TALLY
fi
steps_failed=0

# reported_failure LINES: whether a count with failures has been added since the tally had so many.
reported_failure() {
  tail -n "+$(($1 + 1))" "$RINGBELL_TALLY" | grep -q '^count [0-9]* [1-9]'
}

# step NAME COMMAND...
step() {
  name=$1
  shift
  before=$(wc -l <"$RINGBELL_TALLY")
  started=$(date +%s)
  printf '\n== %s\n' "$name"
  result=passed
  if "$@" </dev/null; then
    [ "$(wc -l <"$RINGBELL_TALLY")" -gt "$before" ] || echo 'count 1 0 0' >>"$RINGBELL_TALLY"
  else
    steps_failed=1
    result=FAILED
    echo "FAILED: $name"
    reported_failure "$before" || echo 'count 0 1 0' >>"$RINGBELL_TALLY"
  fi
  took=$(($(date +%s) - started))
  echo "($name: $took s)"
  printf 'step %s\t%s\t%s\n' "$took" "$result" "$name" >>"$RINGBELL_TALLY"
}

# Prints what was skipped, a table of the steps, and the sums as the last line. The status is a
# failure when a step failed.
finish() {
  if [ "$outermost" = yes ]; then
    echo
    grep '^skipped: ' "$RINGBELL_TALLY" | sort | uniq -c | sed 's/^ *1 //; s/^ *\([0-9]*\) /\1 x /'
    sed -n 's/^step //p' "$RINGBELL_TALLY" |
      awk -F '\t' '{ printf "%6d s  %-6s  %s\n", $1, $2, $3 }'
    awk '
      $1 == "count" { p += $2; f += $3; s += $4 }
      END { printf "%d passed, %d failed, %d skipped\n", p, f, s }' "$RINGBELL_TALLY"
    rm -f "$RINGBELL_TALLY"
  fi
  exit "$steps_failed"
}
