// Takes a mirror away from a client, or lets a client attach a mirror. Each server with a replica executes the order for its replica. If the
// order says so, the claim of the revoked client is then ended at the voters (votes/claim-end.ts), so that the next client needs no take-over.
// If a server cannot execute the order, the end of the claim also proves that no request of the revoked client takes effect. Invariants: a
// server counts only if its answer names the mirror, so that a server that hides its replica never counts as done. A mirror is not claimed
// while a client other than the revoked one may have it.

import type { ControlMethods } from '@rsio/api/rsiod/methods';
import type { MirrorAccess } from '@rsio/api/views/mirror-views';
import { ALLOWED, REVOKED, VOLUME_METHODS } from '@rsio/api/rssrv/volume-methods';
import { type ErrorCode, RsError, toRsError } from '@rsio/base/lib/errors';
import { misfit, object, type Of, type Shape } from '@rsio/base/lib/shape';
import { volumeLabel } from '@rsio/base/lib/volume-name';
import { type MirrorConfig, type VoteAnswer, VOTED } from '@rsio/protocol/wire/mirror-messages';
import { ACCESS_CALL_MS, VOTE_ASK_MS, VOTE_CHANGE_MS } from '../limits.ts';
import { judge, type Records, type Revoked } from '../votes/claim-end.ts';
import type { ConversionPorts } from './conversion.ts';
import type { MirrorServer } from './mirror-server.ts';
import type { MirrorNamespace } from './namespaces.ts';
import { highestConfig } from '../votes/verdicts.ts';

type Params = ControlMethods['mirror-revoke']['params'];
/** An order to let a client attach a mirror has no `endClaim`. */
type Order = Omit<Params, 'endClaim'> & Pick<Partial<Params>, 'endClaim'>;
type Member = MirrorConfig['members'][number];

type MirrorAccessPorts = Pick<ConversionPorts, 'log' | 'management' | 'newId'>;

/** A mirror, as described by the servers that show it to this client. */
interface Shown {
  readonly namespace: MirrorNamespace;
  readonly mirror: string;
  /** The serverids of the servers that show this client a replica. */
  readonly shows: ReadonlySet<number>;
  readonly config: MirrorConfig;
}

interface Outcome {
  readonly member: Member;
  readonly server: string;
  /** Why the server has not executed the order; null if it has executed it. */
  readonly why: string | null;
  readonly wasHeld: boolean;
}

/** After these errors of a server, no further server gets the order, because the order is wrong or must wait for the client. */
const FINAL: readonly ErrorCode[] = ['E_USAGE', 'E_RIGHTS', 'E_LIMIT'];

const REVOKED_SHAPE = object(REVOKED);
const ALLOWED_SHAPE = object(ALLOWED);

export class MirrorAccessOrders {
  private readonly ports: MirrorAccessPorts;

  constructor(ports: MirrorAccessPorts) {
    this.ports = ports;
  }

  /** Throws E_UNKNOWN_VOLUME, E_AMBIGUOUS, E_NO_PATH, E_BUSY, or the error of a server that refuses the order itself. */
  revoke(params: Params): Promise<MirrorAccess> {
    return this.give(params, 'volume-revoke');
  }

  allow(params: Order): Promise<MirrorAccess> {
    return this.give(params, 'volume-allow');
  }

  private async give(params: Order, method: 'volume-revoke' | 'volume-allow'): Promise<MirrorAccess> {
    const { name, universe, client } = params;
    const shown = await this.shown(params);
    const label = volumeLabel({ namespace: shown.namespace.name, name, universe });
    return this.ports.management.change(label, async () => {
      const outcomes: Outcome[] = [];
      for (const member of shown.config.members) outcomes.push(await this.at(shown, member, method, params));
      const done = outcomes.filter(({ why }) => why === null);
      const left = outcomes.flatMap(({ server, why }) => (why === null ? [] : [{ server, reason: why }]));
      const isEnding = method === 'volume-revoke' && (params.endClaim === true || left.length > 0);
      const stillHolds = isEnding ? await this.ended(shown, client, done) : null;
      // A majority has promised a higher term, so no configuration of the client can reach a majority, and the replicas in sync stay those of
      // the highest configuration. One of these replicas has executed the order, so no write is acknowledged and no read is confirmed.
      const isProven = method === 'volume-revoke' && (left.length === 0 || (isEnding && stillHolds === null));
      const what = method === 'volume-revoke' ? 'was taken away from' : 'may be attached by';
      const claim = !isEnding
        ? ''
        : stillHolds === null
          ? '; the client has no claim on it'
          : `; the client may still hold it: ${stillHolds}`;
      this.ports.log.info(
        `Mirror ${label} ${what} client ${client} on ${done.map(({ server }) => server).join(', ') || 'no server'}${claim}`,
      );
      const wasHeld = done.some((one) => one.wasHeld);
      const servers = done.map(({ server }) => server);
      return {
        namespace: shown.namespace.name,
        name,
        universe,
        mirror: shown.mirror,
        client,
        servers,
        wasHeld,
        isProven,
        stillHolds,
        left,
      };
    });
  }

  /** Returns why the client may still hold the mirror; null if it does not. */
  private async ended({ namespace, mirror }: Shown, client: string, done: readonly Outcome[]): Promise<string | null> {
    const taken = new Set(done.map(({ member }) => member.identity));
    const revoked = { client, asker: namespace.nodename, taken };
    return endClaim(revoked, mirror, namespace.servers, await recordsOf(namespace, mirror));
  }

  /** Finds the mirror by asking all servers. The lists of servers name only volumes that this client may attach. */
  private async shown(params: Order): Promise<Shown> {
    const text = params.name;
    const all = await Promise.all(this.ports.management.chosen(params.namespace).map((namespace) => shownIn(namespace, params)));
    const [only, second] = all.flat().filter(({ mirror }) => (params.id ?? null) === null || mirror === params.id);
    if (second !== undefined)
      throw new RsError('E_AMBIGUOUS', `${text} means more than one mirror: name the namespace, as in NAMESPACE:${text}`);
    if (only === undefined)
      throw new RsError(
        'E_UNKNOWN_VOLUME',
        `No connected server shows a replica of a mirror ${text}: rsconfig mirror list shows the mirrors`,
      );
    const config = highestConfig([...(await recordsOf(only.namespace, only.mirror)).values()])?.config;
    if (config === undefined)
      throw new RsError('E_NO_PATH', `No voter of mirror ${text} tells this client which servers have a replica: nothing was changed`);
    return { ...only, config };
  }

  /** Gives the order to the server of a replica. Throws errors that would be the same on every server. */
  private async at(shown: Shown, member: Member, method: 'volume-revoke' | 'volume-allow', { client }: Order): Promise<Outcome> {
    const server = shown.namespace.servers.find(({ serverid }) => serverid === member.serverid);
    const name = server?.name ?? `server ${member.serverid}`;
    const failed = (why: string): Outcome => ({ member, server: name, why, wasHeld: false });
    if (server === undefined) return failed('This client never reached it');
    if (server.trouble !== null) return failed(server.trouble.message);
    if (!shown.shows.has(server.serverid)) return failed('It shows this client no replica of the mirror');
    const params = { name: member.volume, universe: member.universe, client, request: this.ports.newId() };
    try {
      const answer = await server.callAdmin(method, params, ACCESS_CALL_MS);
      const { volume } = checked(ALLOWED_SHAPE, answer);
      const wasHeld = method === 'volume-revoke' && checked(REVOKED_SHAPE, answer).wasHeld;
      return volume.mirror === shown.mirror
        ? { member, server: name, why: null, wasHeld }
        : failed('Its volume is no replica of the mirror');
    } catch (thrown) {
      const { code, message, context } = toRsError(thrown);
      if (FINAL.includes(code)) throw new RsError(code, `Server ${name}: ${message}`, context, thrown);
      return failed(message);
    }
  }
}

async function shownIn(namespace: MirrorNamespace, { name, universe }: Order): Promise<Pick<Shown, 'namespace' | 'mirror' | 'shows'>[]> {
  const mirrors = new Map<string, Set<number>>();
  const ask = async (server: MirrorServer): Promise<void> => {
    if (server.trouble !== null) return;
    const answer = await server.callAdmin('volume-show', { name, universe }, VOTE_ASK_MS).catch(() => null);
    const { mirror } = answer === null ? { mirror: null } : checked(VOLUME_METHODS['volume-show'].result, answer).volume;
    if (mirror !== null) mirrors.set(mirror, (mirrors.get(mirror) ?? new Set()).add(server.serverid));
  };
  await Promise.all(namespace.servers.map(ask));
  return [...mirrors].map(([mirror, shows]) => ({ namespace, mirror, shows }));
}

async function recordsOf({ servers }: MirrorNamespace, mirror: string): Promise<Map<number, VoteAnswer>> {
  const records = new Map<number, VoteAnswer>();
  const ask = async (server: MirrorServer): Promise<void> => {
    const answer = server.trouble === null ? await server.vote({ kind: 'record', mirror }, VOTE_ASK_MS).catch(() => null) : null;
    if (answer?.voted === VOTED.DONE) records.set(server.serverid, answer);
  };
  await Promise.all(servers.map(ask));
  return records;
}

/** Ends the claim of the client. Returns why the client may still hold the mirror; null if it does not. */
async function endClaim(revoked: Revoked, mirror: string, servers: readonly MirrorServer[], records: Records): Promise<string | null> {
  const verdict = judge(revoked, records);
  if (verdict.kind !== 'claim') return verdict.kind === 'held' ? verdict.why : null;
  const order = { kind: 'claim', mirror, number: verdict.number, takesOver: true } as const;
  const claimed = new Map<number, VoteAnswer>();
  const refusals: string[] = [];
  const claim = async (server: MirrorServer): Promise<void> => {
    if (!records.has(server.serverid)) return;
    try {
      const answer = await server.vote(order, VOTE_CHANGE_MS);
      if (answer.voted === VOTED.DONE) claimed.set(server.serverid, answer);
      else refusals.push(`${server.name}: ${answer.sentence}`);
    } catch (thrown) {
      refusals.push(`${server.name}: ${toRsError(thrown).message}`);
    }
  };
  await Promise.all(servers.map(claim));
  // Only answers to this claim count, so that all of them have promised the same term.
  const after = judge(revoked, claimed);
  if (after.kind === 'ended') return null;
  return [after.kind === 'held' ? after.why : 'its voters name the client again', ...refusals].join('; ');
}

/** Throws E_PROTOCOL if a server's answer does not match the table of its methods. */
function checked<S extends Shape<unknown>>(shape: S, answer: unknown): Of<S> {
  const wrong = misfit(shape, answer, 'open');
  if (wrong !== null) throw new RsError('E_PROTOCOL', `The answer of the server is wrong: ${wrong}`);
  return answer as Of<S>;
}
