// A load in the guest that verifies all that it reads: lanes write blocks with patterns that are used once, in capsules and by R2T, and
// read each block at once and again after the next write. Lanes pause, because an emulated host also needs time for its paths. Invariant: a
// lane ends at its first error or wrong byte, and reports it.

import { waitFor } from '../../support/programs/wait-for.ts';
import type { LinuxHost } from './linux-host.ts';

const LANES = 4;
/** Each lane uses this many places of 64 KiB at the beginning of the namespace. */
const PLACES = 8;
const LIFE_MS = 240_000;
/** The guest has the lowest priority on a busy machine. */
const GOES_ON_MS = 60_000;

const LANE = `
pattern() { yes "lane $1 round $2" | head -c 65536; }
place() { echo $(($1 * ${PLACES} + $2 % ${PLACES})); }
holds() {
  pattern "$1" "$2" > "$load/wanted$1"
  dd if="$file" bs=64k count=1 iflag=direct skip="$(place "$1" "$2")" of="$load/read$1" 2> "$load/said$1" && cmp "$load/wanted$1" "$load/read$1"
}
lane() {
  round=0
  while [ ! -e "$load/stop" ]; do
    sleep 0.1
    round=$((round + 1))
    echo "$round" > "$load/round$1"
    pattern "$1" "$round" > "$load/written$1"
    bytes=$((round % 2 ? 4096 : 65536))
    at=$(($(place "$1" "$round") * (65536 / bytes)))
    dd if="$load/written$1" of="$file" bs="$bytes" oflag=direct seek="$at" 2> "$load/said$1" &&
      holds "$1" "$round" && { [ "$round" = 1 ] || holds "$1" $((round - 1)); } ||
      { echo "lane $1 failed in round $round: $(cat "$load/said$1")"; return; }
  done
  echo "$round rounds"
}`;

export interface VerifiedLoad {
  /** Resolves when each lane has begun two further rounds. */
  goesOn(): Promise<void>;
  /** Ends the load. Returns the rounds of each lane. Throws if a lane saw an error or a wrong byte. */
  end(): Promise<number[]>;
}

let loads = 0;

export function verifiedLoad(host: LinuxHost, nsid: number): VerifiedLoad {
  const lanes = Array.from({ length: LANES }, (_, lane) => `lane ${lane} &`).join('\n');
  // A folder of its own, because a load that a failed test has left may still run.
  const folder = `/run/load${++loads}`;
  const ended = host.run(`${LANE}\nload=${folder}\nmkdir ${folder}\nfile=$(device ${nsid})\n${lanes}\nwait`, LIFE_MS);
  let said: string | null = null;
  ended.then(
    (text) => (said = text),
    (thrown: unknown) => (said = String(thrown)),
  );
  const rounds = async (): Promise<number[]> => (await host.run(`sleep 0.2; cat ${folder}/round* || true`)).split('\n').map(Number);
  return {
    goesOn: async () => {
      const before = await rounds();
      let last = '';
      const isAhead = async (): Promise<boolean> => {
        if (said !== null) throw new Error(`The load has ended: ${said}`);
        const now = await rounds();
        last = now.join(' ');
        return now.length === LANES && now.every((round, lane) => round >= (before[lane] ?? 0) + 2);
      };
      try {
        await waitFor(isAhead, GOES_ON_MS, 'Each lane of the load goes on');
      } catch (error) {
        // A lane that has failed says so in the guest, and the others go on.
        const lanes = await host.run(`tail -n 3 ${folder}/said* || true`).catch(String);
        throw new Error(`The load stands still: rounds ${before.join(' ')}, then ${last}; the lanes say ${lanes}`, { cause: error });
      }
    },
    end: async () => {
      await host.run(`: > ${folder}/stop`);
      const lines = await ended;
      const rounds = [...lines.matchAll(/^(\d+) rounds$/gm)].map(([, count]) => Number(count));
      if (rounds.length !== LANES) throw new Error(lines);
      return rounds;
    },
  };
}
