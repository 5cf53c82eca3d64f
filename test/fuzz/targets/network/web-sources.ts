// The answers of a hostile rsweb are parsed, cut to the declared shape, merged with the answers of this machine and of a good source, and
// shown on every page. Oracle: no exception. Ids stay unique. Statements of the daemons of this machine stay unchanged; statements of the
// good source stay under its name or are marked as disputed. Commands appear only at objects of their own source.

import { isDeepStrictEqual } from 'node:util';
import { programVersion } from '@rsio/base/lib/version';
import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import { HistoryRings } from '@rsio/rsweb/model/history-rings';
import { applicationFindings } from '@rsio/rsweb/model/applications';
import { findingsOf, merged } from '@rsio/rsweb/model/merge';
import { heard } from '@rsio/rsweb/model/owners';
import { PICTURE_FORMAT } from '@rsio/rsweb/model/picture-shape';
import type { ListName, Picture } from '@rsio/rsweb/model/picture';
import { versionFindings } from '@rsio/rsweb/model/versions';
import { clientPage } from '@rsio/rsweb/pages/client';
import { eventsPage } from '@rsio/rsweb/pages/events';
import { mirrorPage } from '@rsio/rsweb/pages/mirror';
import { overviewPage } from '@rsio/rsweb/pages/overview';
import { poolPage } from '@rsio/rsweb/pages/pool';
import { serverPage } from '@rsio/rsweb/pages/server';
import { volumePage } from '@rsio/rsweb/pages/volume';
import { answerIn } from '@rsio/rsweb/sources/answer';
import { samplePicture } from '@rsio/rsweb/testing/sample-picture';
import { expectThat, type FuzzTarget } from '../../fixtures/fuzz-target.ts';
import { mutated } from '../../makers/mutator.ts';

const LISTS: readonly ListName[] = [
  ...(['machines', 'servers', 'clients', 'paths', 'volumes', 'pools', 'mirrors'] as const),
  ...(['applications', 'findings', 'events'] as const),
];
const NOW_MS = 1_700_000_000_000;
const whole = samplePicture();

/** Makes a small picture with one server of the sample. `prefix`: prefix of the ids of findings and events. */
function pictureOf(at: number, prefix: string): Picture {
  const name = whole.servers[at]?.name ?? '';
  const volumes = whole.volumes.filter(({ server }) => server === name).slice(0, 3);
  const clients = whole.clients.slice(at, at + 2).map((one, place) => ({ ...one, machine: place === 0 ? name : null }));
  const holder = clients[0]?.id ?? '';
  const findings = whole.findings.slice(0, 2).map((one, place) => ({
    ...one,
    id: `${prefix} ${place}`,
    href: place === 0 ? `/server/${name}` : `/volume/${volumes[0]?.id}`,
  }));
  return {
    ...whole,
    machines: [{ ...whole.machines[0]!, id: name, name, isLocal: at === 0 }],
    servers: whole.servers.slice(at, at + 2).map((one, place) => ({ ...one, machine: place === 0 ? name : null })),
    clients,
    paths: whole.paths.filter(({ client, server }) => server === name || client === holder).slice(0, 3),
    volumes,
    pools: whole.pools.filter(({ server }) => server === name),
    mirrors: whole.mirrors.slice(at, at + 1).map((one) => ({ ...one, holder })),
    applications: whole.applications.slice(0, 1).map((one) => ({ ...one, id: `${holder}:${one.name}`, reporter: holder })),
    findings,
    events: whole.events.slice(0, 3).map((one) => ({ ...one, id: `${prefix} ${one.id}` })),
  };
}

const OWN = pictureOf(0, 'own');
const GOOD = answerIn(textOf(pictureOf(1, 'good')), 'source venus', 'venus');
const BAD = pictureOf(2, 'bad');

function textOf(picture: unknown): Buffer {
  return Buffer.from(JSON.stringify({ format: PICTURE_FORMAT, release: programVersion(), ...(picture as Picture) }));
}

function run(input: Buffer): boolean {
  const answered = answerIn(input, 'source mars', 'mars');
  if (answered.kind !== 'picture' || GOOD.kind !== 'picture') return false;
  const { parts, findings } = heard([
    { source: 'source mars', isOwn: false, picture: answered.picture },
    { source: 'rssrv', isOwn: true, picture: OWN },
    { source: 'source venus', isOwn: false, picture: GOOD.picture },
  ]);
  const picture = merged(parts, NOW_MS);
  const lists = [...parts.map((part) => part.findings), findings, versionFindings(picture), ...applicationFindings(picture)];
  const all = { ...picture, findings: findingsOf(lists) };
  for (const list of LISTS) {
    const ids = new Set(all[list].map(({ id }) => id));
    expectThat(ids.size === all[list].length, `an id occurs twice among the ${list}`);
  }
  judge(all, GOOD.picture);
  show(all);
  return true;
}

function judge(picture: Picture, good: Picture): void {
  const name = OWN.servers[0]!.id;
  for (const list of ['pools', 'volumes', 'findings'] as const) {
    const shown: readonly { readonly id: string }[] = picture[list];
    for (const one of OWN[list]) {
      expectThat(
        shown.some((other) => isDeepStrictEqual(withoutWaits(other), withoutWaits(one))),
        `${list}: ${one.id} of this machine was changed`,
      );
    }
  }
  const ofOwn = [...picture.volumes, ...picture.pools].filter(({ server }) => server === name).length;
  expectThat(ofOwn === OWN.volumes.length + OWN.pools.length, 'something was added to the server of this machine');
  const ofGood = new Set([good.servers[0]!.id, `${good.servers[0]!.id} (told by source venus)`]);
  for (const volume of good.volumes) {
    expectThat(
      picture.volumes.some((one) => ofGood.has(one.server) && one.name === volume.name && one.sizeBytes === volume.sizeBytes),
      `volume ${volume.id} of the good source is hidden`,
    );
  }
  for (const { id, href, where, commands } of picture.findings) {
    const isForeign = where.startsWith('source mars: ');
    if (!isForeign) continue;
    expectThat(id.startsWith('source mars: '), 'a finding has the id of another source');
    const links = new Set([...OWN.servers.slice(0, 1), good.servers[0]!].map((one) => `/server/${one.id}`));
    for (const one of [...OWN.volumes, ...good.volumes]) links.add(`/volume/${one.id}`);
    for (const one of [...OWN.pools, ...good.pools]) links.add(`/pool/${encodeURIComponent(one.id)}`);
    expectThat(href === null || !links.has(href), `a finding of mars stands at ${href}`);
    expectThat(href !== null || commands.length === 0, 'commands stand at no object of their source');
  }
  expectThat(picture.findings.filter(({ id }) => id.startsWith('source venus: ')).length === good.findings.length, 'a finding is hidden');
}

function withoutWaits<T extends object>(one: T): object {
  return 'waits' in one ? { ...one, waits: [] } : one;
}

function show(picture: Picture): void {
  const history = new HistoryRings();
  history.record(picture);
  const view = {
    nowMs: NOW_MS,
    path: '/',
    token: 'anna',
    mayManage: true,
    mayOrder: () => true,
    mayCall: () => true,
    csrf: '',
    notice: null,
    history,
    query: new URLSearchParams('clients=since&volumes=-used&events=time'),
  };
  const pages = [
    overviewPage(picture, view),
    eventsPage(picture, view),
    ...picture.servers.slice(0, 1).map(({ id }) => serverPage(picture, view, id)),
    ...picture.volumes.slice(0, 1).map(({ id }) => volumePage(picture, view, id)),
    ...picture.clients.slice(0, 1).map(({ id }) => clientPage(picture, view, id)),
    ...picture.pools.slice(0, 1).map(({ id }) => poolPage(picture, view, id)),
    ...picture.mirrors.slice(0, 1).map(({ id }) => mirrorPage(picture, view, id)),
  ];
  for (const page of pages) expectThat(page !== null && !/NaN|Infinity|undefined|Invalid/.test(page.text), 'a page shows what is no value');
}

/** Returns names that other sources use. */
function names(): string[] {
  const texts = new Set<string>();
  for (const picture of [OWN, pictureOf(1, 'good'), BAD]) collect(picture, texts);
  return [...texts];
}

function collect(value: unknown, texts: Set<string>): void {
  if (typeof value === 'string') texts.add(value);
  else if (typeof value === 'object' && value !== null) for (const part of Object.values(value)) collect(part, texts);
}

const NAMES = names();
/** Ids that a lying source would use. */
const IDS = [OWN, pictureOf(1, 'good')]
  .flatMap(({ servers, clients, volumes, pools }) => [servers, clients, volumes, pools].flat())
  .map(({ id }) => id);
const NUMBERS = [0, 0, 0.5, 1, 1, 1];
const FAR_NUMBERS = [-1, 65_535, 65_536, 2 ** 53, 2 ** 64, 8.64e15, 253_402_300_799_000, 253_402_300_799_001, 1e300, -1e300];
const ODD_TEXTS = ['', 'a b', '__proto__', '../x', 'x'.repeat(5_000), '<b>', 'x (told by source venus)'];
/** Fields that may have only certain words as values. */
const WORDS = new Set(['state', 'severity', 'tx', 'rx', 'role', 'program']);

/** Returns a copy with another value at one place. The value is mostly valid. */
function changed(value: unknown, random: SeededRandom): unknown {
  if (Array.isArray(value)) {
    const list: unknown[] = [...(value as unknown[])];
    if (list.length === 0 || random.chance(0.05)) return list.concat(list);
    const at = random.int(0, list.length - 1);
    list[at] = changed(list[at], random);
    if (random.chance(0.1)) list.push(structuredClone(list[at]));
    return list;
  }
  if (typeof value === 'object' && value !== null) {
    const keys = Object.keys(value).filter((key) => !WORDS.has(key) || random.chance(0.02));
    const key = random.pick(keys);
    return { ...value, [key]: changed((value as Record<string, unknown>)[key], random) };
  }
  if (typeof value === 'number') return random.pick(random.chance(0.98) ? NUMBERS : FAR_NUMBERS);
  if (typeof value === 'boolean') return !value;
  if (value === null) return random.chance(0.95) ? null : random.pick(NAMES);
  return random.pick(random.chance(0.4) ? IDS : random.chance(0.9) ? NAMES : ODD_TEXTS);
}

function make(random: SeededRandom): Buffer {
  let picture: unknown = BAD;
  const count = random.int(1, 30);
  for (let at = 0; at < count; at++) picture = changed(picture, random);
  const text = textOf(picture);
  return random.chance(0.1) ? mutated(random, text) : text;
}

export const webSources: FuzzTarget = {
  name: 'web-sources',
  deep: 'the answer was taken for a picture, and shown',
  fixedSeeds: 25,
  make,
  run,
};
