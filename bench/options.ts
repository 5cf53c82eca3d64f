// What a person asks the bench for: options into parts, rows and sections. Pure, but for where the cached file goes.
// Leaves carrying it out to main.ts.

import { parseArgs } from 'node:util';
import { RsError } from '@rsio/common/lib/errors';
import { cachedParent } from './data-folder.ts';
import { findSections, FULL_SECTIONS, type Part, PARTS, QUICK_SECTIONS, type Section, type SectionPlan } from './sections.ts';
import { findRows, FULL_PLAN, type Plan, QUICK_PLAN } from './workload.ts';

export const HELP = `Usage: npm run bench -- [--quick] [--server] [--client] [--scale] [--garbage]
                        [--only NAME] [--rows] [--json FILE]
       npm run bench -- --log [--json FILE]
Measures rssrv beside other servers, pinned to a core each: reads and writes of
a file of 512 MiB in memory; what is not cached, of one in the temporary
directory (TMPDIR). Then rsiod over links and through its doors, many clients,
volumes and paths on one server, and the garbage of both. What cannot be
measured here is named, with the Debian package that mends it.
Needs a C compiler; links and devices need root.

  --quick           what goals are set for only, less than three minutes
  --server          the rows beside other servers
  --client          rsiod: over links, through its doors, end to end
  --scale           many clients, volumes and paths, a restart
  --garbage         heap allocated for each request, and pauses
  --only NAME       the row or section NAME, or all whose name contains NAME
  --rows            print the names of rows and sections and end
  --log             what the replay log of a client costs, and its memory
  --dir DIR         where the cached file is made; default: /dev/shm
  --table FILE      print such figures as tables in markdown, and end
  --json FILE       where the figures go; default: bench/results/last.json
  --help            print this and end
`;

export interface Options {
  /** Rows of the server; null: the log alone. */
  readonly plan: Plan | null;
  readonly sectionPlan: SectionPlan;
  readonly sections: readonly Section[];
  readonly isList: boolean;
  /** Figures to print, and nothing else. */
  readonly tableFile: string | null;
  /** Of the cached file. */
  readonly parent: string;
  readonly jsonFile: string | null;
}

const FLAGS = {
  quick: { type: 'boolean' },
  server: { type: 'boolean' },
  client: { type: 'boolean' },
  scale: { type: 'boolean' },
  garbage: { type: 'boolean' },
  only: { type: 'string' },
  rows: { type: 'boolean' },
  log: { type: 'boolean' },
  dir: { type: 'string' },
  json: { type: 'string' },
  table: { type: 'string' },
  help: { type: 'boolean' },
} as const;

/** null: help is asked for. */
export function optionsOf(args: readonly string[]): Options | null {
  const { values } = parseArgs({ args: [...args], options: FLAGS });
  if (values.help === true) return null;
  const asked = PARTS.filter((part) => values[part] === true);
  if (values.log === true && (asked.length > 0 || (values.quick ?? values.only ?? values.rows) !== undefined)) {
    throw new RsError('E_USAGE', '--log stands alone');
  }
  const parts = new Set<Part>(asked.length > 0 ? asked : PARTS);
  const isQuick = values.quick === true;
  const only = values.only ?? '';
  const whole = isQuick ? QUICK_PLAN : FULL_PLAN;
  const sectionPlan = isQuick ? QUICK_SECTIONS : FULL_SECTIONS;
  const found = { rows: parts.has('server') ? findRows(whole, only) : [], sections: findSections(sectionPlan, parts, only) };
  const { rows, sections } = exact(found, only);
  if (rows.length + sections.length === 0) throw new RsError('E_USAGE', `Nothing has "${only}" in its name (--rows prints the names)`);
  return {
    plan: values.log === true ? null : { ...whole, rows },
    sectionPlan,
    sections: values.log === true ? [] : sections,
    isList: values.rows === true,
    tableFile: values.table ?? null,
    parent: values.dir ?? cachedParent(),
    jsonFile: values.json ?? null,
  };
}

interface Found {
  readonly rows: Plan['rows'];
  readonly sections: readonly Section[];
}

/** Who names one thing by its very name wants nothing else, of whatever kind. */
function exact({ rows, sections }: Found, only: string): Found {
  const named = { rows: rows.filter(({ name }) => name === only), sections: sections.filter(({ name }) => name === only) };
  return named.rows.length + named.sections.length > 0 ? named : { rows, sections };
}
