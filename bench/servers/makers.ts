// All kinds of servers, and which of them can be measured here. A server that cannot be measured is named with the reason and the package
// to install. Starting the servers is the job of the callers.

import { spawnSync } from 'node:child_process';
import { SERVER_IDS, type ServerId } from '../workload.ts';
import { NBD_MAKERS } from './nbd-peers.ts';
import { olderRssrvMaker, RSSRV_MAKER } from './rssrv.ts';
import { TGT_MAKER } from './tgt.ts';
import type { Maker } from './server.ts';

const MAKERS: readonly Maker[] = [RSSRV_MAKER, ...NBD_MAKERS, TGT_MAKER];

export interface Absent {
  readonly id: ServerId;
  readonly reason: string;
}

export interface Present {
  readonly maker: Maker;
  /** Version text of the program; empty: the program is part of this repository. */
  readonly version: string;
}

/** First line of a program's version text; null: it is not installed. */
export function versionOf(program: string): string | null {
  const { error, stdout, stderr } = spawnSync(program, ['--version'], { encoding: 'utf8' });
  if (error !== undefined) return null;
  const [said = ''] = `${stdout}${stderr}`.trim().split('\n', 1);
  return said.includes(program.slice(0, 3)) ? said : `${program} ${said}`;
}

/** `older`: folder of the checkout of `rssrv-older`; null: it is not measured. */
export function lookFor(ids: ReadonlySet<ServerId>, older: string | null): { readonly present: Present[]; readonly absent: Absent[] } {
  const present: Present[] = [];
  const absent: Absent[] = [];
  for (const id of SERVER_IDS.filter((one) => ids.has(one))) {
    const maker = MAKERS.find((one) => one.id === id);
    const needs = maker?.needs ?? null;
    const version = needs === null ? '' : versionOf(needs.program);
    if (maker === undefined) absent.push({ id, reason: 'the load generator does not speak its protocol' });
    else if (version === null) absent.push({ id, reason: `install the Debian package ${needs?.debianPackage}` });
    else present.push({ maker, version });
  }
  if (older !== null) present.push({ maker: olderRssrvMaker(older), version: '' });
  return { present, absent };
}
