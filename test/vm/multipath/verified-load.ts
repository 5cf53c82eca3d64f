// A load in the guest that verifies all that it reads: lanes write blocks with patterns that are used once, in capsules and by R2T, and
// read each block at once and again after the next write. Lanes pause, because an emulated host also needs time for its paths. Invariant: a
// lane ends at its first error or wrong byte, and reports it.

import { waitFor } from '../../support/programs/wait-for.ts';
import type { LinuxHost } from './linux-host.ts';

const LANES = 4;
/** Each lane uses this many places of 64 KiB at the beginning of the namespace. */
const PLACES = 8;
const STOP = '/run/load-stop';
const LIFE_MS = 120_000;
const GOES_ON_MS = 30_000;

const LANE = `
pattern() { yes "lane $1 round $2" | head -c 65536; }
place() { echo $(($1 * ${PLACES} + $2 % ${PLACES})); }
holds() {
  pattern "$1" "$2" > "/run/wanted$1"
  dd if="$file" bs=64k count=1 iflag=direct skip="$(place "$1" "$2")" of="/run/read$1" 2> "/run/said$1" && cmp "/run/wanted$1" "/run/read$1"
}
lane() {
  round=0
  while [ ! -e ${STOP} ]; do
    sleep 0.1
    round=$((round + 1))
    echo "$round" > "/run/round$1"
    pattern "$1" "$round" > "/run/written$1"
    bytes=$((round % 2 ? 4096 : 65536))
    at=$(($(place "$1" "$round") * (65536 / bytes)))
    dd if="/run/written$1" of="$file" bs="$bytes" oflag=direct seek="$at" 2> "/run/said$1" &&
      holds "$1" "$round" && { [ "$round" = 1 ] || holds "$1" $((round - 1)); } ||
      { echo "lane $1 failed in round $round: $(cat "/run/said$1")"; return; }
  done
  echo "$round rounds"
}`;

export interface VerifiedLoad {
  /** Resolves when each lane has begun two further rounds. */
  goesOn(): Promise<void>;
  /** Ends the load. Returns the rounds of each lane. Throws if a lane saw an error or a wrong byte. */
  end(): Promise<number[]>;
}

export function verifiedLoad(host: LinuxHost, nsid: number): VerifiedLoad {
  const lanes = Array.from({ length: LANES }, (_, lane) => `lane ${lane} &`).join('\n');
  const ended = host.run(`${LANE}\nfile=$(device ${nsid})\nrm -f ${STOP} /run/round*\n${lanes}\nwait`, LIFE_MS);
  ended.catch(() => undefined);
  const rounds = async (): Promise<number[]> => (await host.run(`sleep 0.2; cat /run/round* || true`)).split('\n').map(Number);
  return {
    goesOn: async () => {
      const before = await rounds();
      const isAhead = async (): Promise<boolean> => {
        const now = await rounds();
        return now.length === LANES && now.every((round, lane) => round >= (before[lane] ?? 0) + 2);
      };
      await waitFor(isAhead, GOES_ON_MS, 'Each lane of the load goes on');
    },
    end: async () => {
      await host.run(`: > ${STOP}`);
      const said = await ended;
      const rounds = [...said.matchAll(/^(\d+) rounds$/gm)].map(([, count]) => Number(count));
      if (rounds.length !== LANES) throw new Error(said);
      return rounds;
    },
  };
}
