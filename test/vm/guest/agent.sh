#!/bin/bash
# Runs the commands that npm run drill -- vm-boot sends through a virtio port: a line is an id and a script in base64, and the answer is the id, the exit
# code and the output in base64. The first line after each boot is the id of the boot. A command runs with a terminal of nobody and no input.
exec 3<>/dev/virtio-ports/agent
printf 'ready %s\n' "$(cat /proc/sys/kernel/random/boot_id)" >&3
while read -r id text <&3; do
  out=$(mktemp /run/agent.XXXXXX)
  bash -c "$(base64 -d <<<"$text")" > "$out" 2>&1 < /dev/null
  printf '%s %s %s\n' "$id" "$?" "$(base64 -w0 "$out")" >&3
  rm -f "$out"
done
