// Parses the command line of the bench: options choose parts, rows and sections. Pure, except that it looks for the folder of the cached
// file. Running the rows and sections is the job of main.ts.

import { parseArgs } from 'node:util';
import { RsError } from '@rsio/base/lib/errors';
import { cachedParent } from './data-folder.ts';
import { findSections, FULL_SECTIONS, type Part, PARTS, QUICK_SECTIONS, type Section, type SectionPlan } from './sections.ts';
import { findRows, FULL_PLAN, OLDER_ROUNDS, type Plan, QUICK_PLAN } from './workload.ts';

export const HELP = `Usage: npm run bench -- [--quick] [--server] [--encryption] [--client] [--scale]
                        [--mirrors] [--farm] [--garbage] [--only NAME]
                        [--rows] [--json FILE]
       npm run bench -- --log [--json FILE]
       npm run bench -- --older DIR [--only NAME] [--json FILE]
Measures rssrv beside other servers, each pinned to a core: reads and writes of
a file of 512 MiB in memory, and uncached reads of a file in the temporary
directory (TMPDIR). Then it measures rsiod over links and through its frontends;
many clients, volumes and paths on one server; shared pools; and garbage
collection of both.
It names what it cannot measure here, and the Debian package to install.
Needs a C compiler. Links, devices and shared pools need root.

  --quick           measure only what has goals, without mirrors, limits and farm,
                    in less than five minutes
  --server          measure the rows beside other servers
  --encryption      measure what digests and TLS cost the server
  --client          measure rsiod: over links, through its frontends, end to end
  --scale           measure many clients, volumes and paths, and a restart
  --mirrors         measure a mirror beside a volume of one server
  --farm            measure a shared pool beside a local one, and heartbeats
  --garbage         measure heap allocated for each request, and pauses
  --only NAME       measure row or section NAME, or all that contain NAME
  --rows            print the names of rows and sections, then exit
  --log             measure the cost of a client's replay log, and its memory
  --older DIR       measure rssrv beside rssrv of the checkout in DIR, whose
                    programs are built; only rows, and both in turn, in many short
                    rounds
  --dir DIR         folder of the cached file; default: /dev/shm
  --table FILE      print the figures in FILE as markdown tables, then exit
  --json FILE       write the figures to FILE; default: bench/results/last.json
  --help            print this help, then exit
`;

export interface Options {
  /** Rows of the comparison of servers; null: only the log is measured. */
  readonly plan: Plan | null;
  readonly sectionPlan: SectionPlan;
  readonly sections: readonly Section[];
  readonly isList: boolean;
  /** File whose figures are printed as tables, without a measurement. */
  readonly tableFile: string | null;
  /** Folder of the cached file. */
  readonly parent: string;
  /** Folder of an older checkout, whose rssrv then is the only server that the rows compare with; null: they compare with other servers. */
  readonly older: string | null;
  readonly jsonFile: string | null;
}

const FLAGS = {
  quick: { type: 'boolean' },
  server: { type: 'boolean' },
  encryption: { type: 'boolean' },
  client: { type: 'boolean' },
  scale: { type: 'boolean' },
  mirrors: { type: 'boolean' },
  farm: { type: 'boolean' },
  garbage: { type: 'boolean' },
  only: { type: 'string' },
  rows: { type: 'boolean' },
  log: { type: 'boolean' },
  older: { type: 'string' },
  dir: { type: 'string' },
  json: { type: 'string' },
  table: { type: 'string' },
  help: { type: 'boolean' },
} as const;

/** Parses the arguments; null: the user has asked for help. */
export function optionsOf(args: readonly string[]): Options | null {
  const { values } = parseArgs({ args: [...args], options: FLAGS });
  if (values.help === true) return null;
  const asked = PARTS.filter((part) => values[part] === true);
  if (values.log === true && (asked.length > 0 || (values.quick ?? values.only ?? values.rows) !== undefined)) {
    throw new RsError('E_USAGE', '--log stands alone');
  }
  const older = values.older ?? null;
  if (older !== null && (asked.length > 0 || values.log === true))
    throw new RsError('E_USAGE', '--older goes with --only, and with no part');
  const parts = new Set<Part>(older !== null ? ['server'] : asked.length > 0 ? asked : PARTS);
  const isQuick = values.quick === true;
  const only = values.only ?? '';
  const whole = besideOlder(isQuick ? QUICK_PLAN : FULL_PLAN, older);
  const sectionPlan = isQuick ? QUICK_SECTIONS : FULL_SECTIONS;
  const found = { rows: parts.has('server') ? findRows(whole, only) : [], sections: findSections(sectionPlan, parts, only) };
  const { rows, sections } = exact(found, only);
  if (rows.length + sections.length === 0) throw new RsError('E_USAGE', `No row or section has "${only}" in its name: see --rows`);
  return {
    plan: values.log === true ? null : { ...whole, rows },
    sectionPlan,
    sections: values.log === true ? [] : sections,
    isList: values.rows === true,
    tableFile: values.table ?? null,
    parent: values.dir ?? cachedParent(),
    older,
    jsonFile: values.json ?? null,
  };
}

/**
 * If an older checkout is given, omits the rows whose file is dropped from the cache, and leaves only the two versions of rssrv in all
 * other rows.
 */
function besideOlder(plan: Plan, older: string | null): Plan {
  if (older === null) return plan;
  const rows = plan.rows.filter(({ isCached }) => isCached);
  return { ...OLDER_ROUNDS, rows: rows.map((row) => ({ ...row, servers: ['rssrv', 'rssrv-older'] })) };
}

interface Found {
  readonly rows: Plan['rows'];
  readonly sections: readonly Section[];
}

function exact({ rows, sections }: Found, only: string): Found {
  const named = { rows: rows.filter(({ name }) => name === only), sections: sections.filter(({ name }) => name === only) };
  return named.rows.length + named.sections.length > 0 ? named : { rows, sections };
}
