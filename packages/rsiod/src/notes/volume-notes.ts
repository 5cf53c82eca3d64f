// The notes of volumes: texts of a volume's holder, which outlive the hold and which other clients can read. The note of a mirror is in its
// configuration; the note of any other volume is in its gate record. Invariants: only the holder writes a note, and servers check that; an
// acknowledged note is durable; gates and notes of a volume write its record through one object.

import { majorityOf } from '@rsio/protocol/mirror/membership/quorums';
import type { ControlMethods } from '@rsio/api/rsiod/methods';
import { LIST_WAIT_MS } from '@rsio/common/control/limits';
import { NODES_ASKED_MAX } from '@rsio/api/rsiod/note-methods';
import type { Clock } from '@rsio/base/lib/clock';
import { RsError } from '@rsio/base/lib/errors';
import { VOLUME_NOTE_MAX_CHARS } from '@rsio/protocol/wire/limits';
import { volumeNote } from '@rsio/protocol/wire/mirror-messages';
import type { Attachments } from '../attachments/attachments.ts';
import { type Choice, chooseVolume, labelOf, type ServerOffer } from '../attachments/offers.ts';
import { ownersOf } from '../attachments/pool-owner.ts';
import { GateRecord, noteIn } from './gate-record.ts';
import { mirrorNamespaces } from '../mirrors/commands/namespaces.ts';
import { records, surveyMirror, type SurveyedMirror } from '../mirrors/commands/survey.ts';
import type { Namespaces } from '../network/namespaces.ts';
import type { Server } from '../network/server.ts';
import type { Volume } from '../volumes/volume.ts';
import { NOTE_WAIT_MS } from './limits.ts';
import { mirrorVerdict, type NoteVerdict, silentForAll } from './note-verdicts.ts';

type Methods = Pick<ControlMethods, 'volume-note' | 'volume-note-set' | 'nodes-seen'>;

/** In a process that does not have the volumes, notes can only be read. */
interface NotesParts {
  readonly clock: Clock;
  readonly attachments: Pick<Attachments, 'offers' | 'list' | 'mirrors'>;
  readonly namespaces: Pick<Namespaces, 'list'>;
}

export class VolumeNotes {
  private readonly parts: NotesParts;

  constructor(parts: NotesParts) {
    this.parts = parts;
  }

  async read({ volume, fresh }: Methods['volume-note']['params']): Promise<Methods['volume-note']['result']> {
    if (fresh === true) await Promise.all(this.chosen(volume).offers.map(({ from }) => from.refresh(LIST_WAIT_MS)));
    const choice = this.chosen(volume);
    const { id, mirror, config } = choice.offers[0]!;
    const verdict = mirror === null ? await this.ofPlain(choice) : mirrorVerdict(records((await this.survey(choice, mirror)).said));
    return { volume: choice.label, id, node: config.nodename, isMirror: mirror !== null, ...verdict };
  }

  async write({ volume: name, note }: Methods['volume-note-set']['params']): Promise<Methods['volume-note-set']['result']> {
    const { list: attached, mirrors } = this.parts.attachments;
    const { label, offers } = chooseVolume(attached.map(asOffer), name, null);
    const volume = attached.find((one) => labelOf(one) === label && one.id === offers[0]?.id);
    if (volume === undefined) throw new RsError('E_UNKNOWN_VOLUME', `${label} is not attached here: its holder writes its note`);
    checkNote(note);
    const mirror = mirrors.of(volume.target);
    if (mirror === null) await (await GateRecord.of(volume.record, label)).keepNote(note);
    const refusal = (await mirror?.keepNote(note, NOTE_WAIT_MS)) ?? '';
    if (refusal !== '') throw new RsError('E_BUSY', `The note of ${label} was not written: ${refusal}`);
    return {};
  }

  async seen({ volume, nodes }: Methods['nodes-seen']['params']): Promise<Methods['nodes-seen']['result']> {
    if (nodes.length === 0) return { nodes: [], answered: 0 };
    if (nodes.length > NODES_ASKED_MAX) throw new RsError('E_LIMIT', `${nodes.length} nodes are more than ${NODES_ASKED_MAX}: name fewer`);
    const choice = this.chosen(volume);
    const { id, mirror } = choice.offers[0]!;
    const { servers, atLeast } = await this.judges(choice, mirror);
    const asked = servers.map((server) => server.nodesSeen(id, nodes).catch(() => null));
    const answers = (await Promise.all(asked)).filter((answer) => answer !== null);
    const silent = silentForAll(answers, nodes.length, atLeast);
    return { nodes: nodes.map((node, index) => ({ node, silentMs: silent[index] ?? 0 })), answered: answers.length };
  }

  /** Returns the servers to ask, and how many of them must agree: for a mirror, most of its voters; null means all that answer. */
  private async judges(
    choice: Choice<ServerOffer>,
    mirror: string | null,
  ): Promise<{ readonly servers: readonly Server[]; readonly atLeast: number | null }> {
    if (mirror === null) return { servers: choice.offers.filter(({ isConnected }) => isConnected).map(({ from }) => from), atLeast: null };
    const survey = await this.survey(choice, mirror);
    const voters = survey.stored?.config.voters ?? [];
    const namespace = this.parts.namespaces.list.find(({ config }) => config.name === choice.offers[0]?.namespace);
    const known = namespace?.orderedServers ?? [];
    const servers = voters.flatMap(({ serverid }) => known.find((one) => one.serverid === serverid && one.isConnected) ?? []);
    return { servers, atLeast: majorityOf(voters.length) };
  }

  private async ofPlain({ label, offers }: Choice<ServerOffer>): Promise<NoteVerdict> {
    const connected = offers.filter(({ isConnected }) => isConnected);
    const [owners = connected] = ownersOf(connected).values();
    const [owner] = owners;
    if (owner === undefined) return { isSure: false, holder: null, note: null, why: `No server that offers ${label} is connected` };
    const note = noteIn(await owner.from.readRecord(owner.id), label);
    const holder = owner.holders.find(({ node }) => node !== owner.config.nodename) ?? owner.holders[0];
    return { isSure: true, holder: holder?.node ?? null, note, why: null };
  }

  private survey(choice: Choice<ServerOffer>, mirror: string): Promise<SurveyedMirror> {
    const { namespace } = choice.offers[0]!;
    const { namespaces, clock } = this.parts;
    const servers = mirrorNamespaces(namespaces.list, clock).find(({ name }) => name === namespace)?.servers ?? [];
    return surveyMirror(namespace, servers, mirror);
  }

  private chosen(name: string): Choice<ServerOffer> {
    return chooseVolume(this.parts.attachments.offers, name, null);
  }
}

function asOffer({ namespace, name, universe, id }: Volume): {
  namespace: string;
  name: string;
  universe: number;
  id: string;
  server: string;
  isConnected: boolean;
} {
  return { namespace, name, universe, id, server: '', isConnected: true };
}

function checkNote(note: string): void {
  try {
    volumeNote(note, 'The note');
  } catch {
    throw new RsError('E_USAGE', `A note has 1 to ${VOLUME_NOTE_MAX_CHARS} printable ASCII characters, not these ${note.length}`);
  }
}
