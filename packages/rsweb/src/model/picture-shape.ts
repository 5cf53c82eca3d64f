// The shape of a picture from another machine's rsweb, and the guard that checks it. Pure. Invariants: a checked picture has no unknown
// field, and no text, list, number or date beyond its bound; the shape and the type in picture.ts are the same.

import { CLIENT_ROLES } from '@rsio/common/config/schema/types';
import { PROGRESS, REPLICATION } from '@rsio/api/views/views';
import { flag, type Form, list, object, type Of, orNull, type Shape, text, whole, within, word } from '@rsio/base/lib/shape';
import { misfit } from '@rsio/base/lib/shape';
import { DIRECTIONS, PATH_STATES } from '@rsio/base/lib/path-states';
import { DATE_MAX_MS, ELEMENTS_MAX, FIGURE_MAX, INNER_MAX, TEXT_MAX_CHARS } from '../limits.ts';
import type { Picture } from './picture.ts';

/**
 * Version of the shape of a picture. The version increases when the shape changes in such a way that an older rsweb would misread a
 * picture.
 */
export const PICTURE_FORMAT = 1;

const figure = within(0, FIGURE_MAX);
const date = within(0, DATE_MAX_MS);
const port = whole(0, 65_535);
const PERCENTILES = orNull(object({ p50Us: figure, p99Us: figure, p999Us: figure }));
const LOAD = object({
  readsPerSecond: figure,
  writesPerSecond: figure,
  readBytesPerSecond: figure,
  writtenBytesPerSecond: figure,
  readLatency: PERCENTILES,
  writeLatency: PERCENTILES,
});
const texts = orNull(text());
const figures = orNull(figure);
const dates = orNull(date);

const PICTURE = object({
  takenMs: date,
  machines: list(
    object({
      id: text(),
      name: text(),
      isLocal: flag(),
      state: word(['answers', 'silent']),
      reason: texts,
      programs: list(object({ program: word(['rssrv', 'rsiod', 'rsapp']), version: text(), startedMs: date })),
    }),
  ),
  servers: list(
    object({
      id: text(),
      name: text(),
      namespace: text(),
      serverid: figures,
      machine: texts,
      state: word(['up', 'connecting', 'down']),
      reason: texts,
      version: texts,
      startedMs: dates,
      interfaces: list(
        object({
          name: text(),
          address: text(),
          port,
          state: word(['listening', 'waiting', 'off', 'unknown']),
          reason: texts,
        }),
      ),
      load: LOAD,
    }),
  ),
  clients: list(
    object({
      id: text(),
      name: text(),
      machine: texts,
      state: word(['connected', 'silent', 'absent']),
      address: texts,
      sinceMs: dates,
      version: texts,
      role: orNull(word(CLIENT_ROLES)),
      fencedMs: dates,
      volumes: list(text()),
      load: LOAD,
    }),
  ),
  paths: list(
    object({
      id: text(),
      client: text(),
      server: text(),
      interface: texts,
      localAddress: texts,
      address: text(),
      port: orNull(port),
      state: word(PATH_STATES),
      tx: word(DIRECTIONS),
      rx: word(DIRECTIONS),
      sinceMs: date,
      lastError: texts,
      roundTripMs: figures,
      cipher: texts,
      sentBytesPerSecond: figures,
      receivedBytesPerSecond: figures,
    }),
  ),
  volumes: list(
    object({
      id: text(),
      name: text(),
      universe: whole(0, 9),
      server: text(),
      pool: texts,
      state: word(['served', 'paused', 'stopped', 'unavailable']),
      reason: texts,
      sizeBytes: figures,
      usedBytes: figures,
      readonly: flag(),
      shared: flag(),
      holders: list(object({ client: text(), sinceMs: date })),
      waits: list(object({ client: text(), waitsFor: text(), requests: figure, sinceMs: date })),
      snapshots: figure,
      lastSnapshotMs: dates,
      schedule: texts,
      mirror: texts,
      iopsLimit: figures,
      bandwidthLimitBytes: figures,
      load: LOAD,
    }),
  ),
  pools: list(
    object({
      id: text(),
      name: text(),
      server: text(),
      path: text(),
      state: word(['ready', 'unavailable', 'elsewhere']),
      reason: texts,
      totalBytes: figures,
      freeBytes: figures,
      promisedBytes: figure,
      limitBytes: figures,
      fullInWeekPaceMs: dates,
      fullInMonthPaceMs: dates,
      reserve: within(0, 1),
      isShort: flag(),
      volumes: figure,
      removed: figure,
    }),
  ),
  mirrors: list(
    object({
      id: text(),
      name: text(),
      universe: whole(0, 9),
      namespace: text(),
      state: word(['known', 'unfinished', 'unknown']),
      sizeBytes: figures,
      replicas: list(
        object({
          server: texts,
          serverName: text(),
          volume: texts,
          state: word(['in sync', 'behind', 'copying']),
          isReachable: flag(),
          leftBytes: figures,
          bytesPerSecond: figures,
          etaMs: figures,
        }),
      ),
      voters: list(object({ serverName: text(), answers: flag(), trouble: texts })),
      majority: figure,
      holder: texts,
    }),
  ),
  applications: list(
    object({
      id: text(),
      name: text(),
      reporter: text(),
      isDrained: flag(),
      state: word(['running', 'starting', 'stopping', 'stopped', 'disabled', 'waiting', 'new', 'unknown']),
      on: texts,
      sinceMs: date,
      volumes: list(text()),
      nodes: list(text()),
      next: texts,
      why: text(),
      failed: flag(),
      remains: flag(),
    }),
  ),
  works: list(
    object({
      id: text(),
      kind: PROGRESS.form.fields.kind,
      name: text(),
      about: text(),
      server: texts,
      client: texts,
      state: PROGRESS.form.fields.state,
      waitsFor: texts,
      doneBytes: figure,
      totalBytes: figures,
      bytesPerSecond: figure,
      leftMs: figures,
      job: texts,
      limitBytes: figures,
    }),
  ),
  replications: list(
    object({
      id: text(),
      server: text(),
      direction: REPLICATION.form.fields.direction,
      peer: text(),
      volumes: text(),
      state: REPLICATION.form.fields.state,
      text: text(),
      everyMs: figure,
      ageMs: figures,
      backlogBytes: figure,
    }),
  ),
  gates: list(
    object({
      id: text(),
      client: text(),
      name: text(),
      protocol: text(),
      listening: list(text()),
      hosts: list(text()),
      volumes: list(text()),
      trouble: texts,
    }),
  ),
  snapshots: figure,
  findings: list(
    object({
      id: text(),
      severity: word(['error', 'warning']),
      what: text(),
      where: text(),
      remedy: text(),
      commands: list(text()),
      href: texts,
      sinceMs: dates,
    }),
  ),
  events: list(object({ id: text(), atMs: date, machine: text(), object: text(), from: text(), to: text(), reason: text(), href: texts })),
});

/** A type that makes the compilation fail if the shape and the type in picture.ts differ. */
type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : never) : never;
const isSameAsType: Same<Of<typeof PICTURE>, Picture> = true;

/** Returns the picture in an answer, or the reason why it is refused. */
export function checkedPicture(value: unknown): Picture | string {
  const pruned = isSameAsType && prune(PICTURE, withLaterLists(value), ELEMENTS_MAX);
  const wrong = misfit(PICTURE, pruned, 'exactly');
  return wrong === null ? withOwnLinks(pruned as Picture) : wrong;
}

/** An rsweb of an earlier release does not report these lists. */
function withLaterLists(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return { works: [], replications: [], gates: [], ...value };
}

/** Removes all links from another machine's picture except links to pages of this rsweb. */
function withOwnLinks(picture: Picture): Picture {
  const own = (href: string | null): string | null =>
    href !== null && /^\/(volume|client|server|pool|mirror)\/[^/\s]+$/.test(href) ? href : null;
  return {
    ...picture,
    findings: picture.findings.map((one) => ({ ...one, href: own(one.href) })),
    events: picture.events.map((one) => ({ ...one, href: own(one.href) })),
  };
}

/** Copies the fields of the shape. A value of a wrong type becomes null; the check decides whether null is allowed. */
function prune({ form }: Shape, value: unknown, listMax: number): unknown {
  switch (form.kind) {
    case 'text':
    case 'word':
      return typeof value === 'string' ? value.slice(0, TEXT_MAX_CHARS) : null;
    case 'number':
    case 'flag':
      return typeof value === 'number' || typeof value === 'boolean' ? value : null;
    case 'or-null':
      return value === null ? null : prune(form.of, value, listMax);
    case 'list':
      return Array.isArray(value) ? value.slice(0, listMax).map((one) => prune(form.of, one, INNER_MAX)) : null;
    case 'record':
      return {};
    case 'object':
      return pruneFields(form, value, listMax);
    default:
      return null;
  }
}

function pruneFields({ fields }: Form & { kind: 'object' }, value: unknown, listMax: number): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null;
  const given = value as Readonly<Record<string, unknown>>;
  return Object.fromEntries(
    Object.entries(fields).map(([name, shape]) => [name, Object.hasOwn(given, name) ? prune(shape, given[name], listMax) : null]),
  );
}
