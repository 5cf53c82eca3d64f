// Negotiates options: takes the client's flags or one option, and returns the bytes of the answer and the next step. No sockets, no
// framing. Stores whether structured replies were negotiated, and which metadata contexts of which volume the client has selected.

import type { FrontendVolume } from '../../volumes/frontend-volume.ts';
import { findExport } from './wire/export-names.ts';
import { exportKey, type NbdExport } from './wire/nbd-export.ts';
import {
  ALLOCATION_CONTEXT,
  ALLOCATION_CONTEXT_ID,
  CHANGED_CONTEXT,
  DIRTY_CONTEXT,
  HANDSHAKE_FLAG,
  INFO,
  OPTION,
  OPTION_REPLY,
} from './wire/nbd-constants.ts';
import { exportNameReply, infoReplies, metaContextReply, optionError, optionReply, serverReply } from './wire/nbd-option-replies.ts';
import { NBD_CONTEXTS_LISTED_MAX, NBD_CONTEXTS_SELECTED_MAX } from '../limits.ts';

// Lists and selects the metadata contexts of an export: base:allocation and, if the export is a snapshot, one context for each older
// snapshot of the same volume. Such a context tells which blocks have changed since the older snapshot. Pure. Invariant: only snapshots
// that were older when the exported snapshot was attached have a context.
interface MetaContext {
  readonly id: number;
  readonly name: string;
  /** Id of the older snapshot; null for base:allocation. */
  readonly since: string | null;
}

const ALLOCATION = { id: ALLOCATION_CONTEXT_ID, name: ALLOCATION_CONTEXT, since: null } as const;

/** Returns the contexts for the answer to LIST_META_CONTEXT. The ids of the contexts are 0. */
function listedContexts(volume: NbdExport, queries: readonly string[]): MetaContext[] {
  const all = queries.length === 0;
  const older = volume.olderSnapshots ?? [];
  const allOlder = all || queries.includes('qemu:') || queries.includes(DIRTY_CONTEXT);
  const named = new Set(queries);
  const listed = older.filter(({ name }, index) => (allOlder && index < NBD_CONTEXTS_LISTED_MAX) || named.has(DIRTY_CONTEXT + name));
  const dirty = listed.map(({ name, id }) => ({ id: 0, name: DIRTY_CONTEXT + name, since: id }));
  return all || named.has('base:') || named.has(ALLOCATION_CONTEXT) ? [{ ...ALLOCATION, id: 0 }, ...dirty] : dirty;
}

/** Returns the contexts that SET_META_CONTEXT selects. A query selects a context only by its complete name. */
function selectedContexts(volume: NbdExport, queries: readonly string[]): MetaContext[] {
  const selected: MetaContext[] = [];
  for (const query of new Set(queries)) {
    if (selected.length >= NBD_CONTEXTS_SELECTED_MAX) break;
    const older = volume.olderSnapshots?.find((one) => query === DIRTY_CONTEXT + one.name || query === CHANGED_CONTEXT + one.id);
    if (query === ALLOCATION_CONTEXT) selected.push(ALLOCATION);
    else if (older !== undefined) selected.push({ id: ALLOCATION_CONTEXT_ID + 1 + selected.length, name: query, since: older.id });
  }
  return selected;
}

/**
 * The exports: volumes of this process, and facts about exports of other processes. A volume that is being detached is not in the list, so
 * that no new client can open it.
 */
export interface NbdVolumes {
  list(): readonly NbdExport[];
  /** Reason why this connection gets no export; undefined if it may get an export. */
  readonly refusal?: string;
}

/** What client and server have agreed on in the handshake. */
export interface Agreement {
  readonly volume: NbdExport;
  readonly isStructured: boolean;
  /** The metadata contexts that BLOCK_STATUS reports. If no context is selected, the client must not send BLOCK_STATUS. */
  readonly contexts: readonly MetaContext[];
  /** True if the client has not requested the volume's block sizes, and may therefore use any range of bytes. */
  readonly mayUseAnyRange: boolean;
}

/** An agreement about a volume of this process. */
export interface Transmission extends Agreement {
  readonly volume: FrontendVolume;
}

/** False if another process has the volume. Facts from another process have no `submit`, because messages contain no functions. */
export function isOfThisProcess(agreed: Agreement): agreed is Transmission {
  return typeof Reflect.get(agreed.volume, 'submit') === 'function';
}

export interface HandshakeStep {
  readonly reply: Buffer | null;
  /** What follows the reply: another option, the end of the connection, or the transmission phase in the process that has the volume. */
  readonly next: 'option' | 'close' | Agreement;
}

interface NamedRequest {
  readonly name: string;
  readonly kinds: ReadonlySet<number>;
}

interface ContextRequest {
  readonly name: string;
  readonly queries: readonly string[];
}

const CLOSE: HandshakeStep = { reply: null, next: 'close' };
const KNOWN_CLIENT_FLAGS = HANDSHAKE_FLAG.FIXED_NEWSTYLE | HANDSHAKE_FLAG.NO_ZEROES;

export class NbdHandshake {
  private readonly volumes: NbdVolumes;
  private hasZeroes = true;
  private isStructured = false;
  private selected: { readonly key: string; readonly contexts: readonly MetaContext[] } | null = null;
  /** Keys of the exports for which the client has requested the block sizes. */
  private readonly sizesKnown = new Set<string>();

  constructor(volumes: NbdVolumes) {
    this.volumes = volumes;
  }

  clientFlags(flags: number): HandshakeStep {
    if ((flags & ~KNOWN_CLIENT_FLAGS) !== 0) return CLOSE;
    this.hasZeroes = (flags & HANDSHAKE_FLAG.NO_ZEROES) === 0;
    return { reply: null, next: 'option' };
  }

  /** Handles one option. `data` is null when the option is longer than NBD_OPTION_MAX_BYTES. */
  option(option: number, data: Buffer | null): HandshakeStep {
    if (option === OPTION.ABORT) return { reply: optionReply(option, OPTION_REPLY.ACK), next: 'close' };
    const { refusal } = this.volumes;
    if (refusal !== undefined) return option === OPTION.EXPORT_NAME ? CLOSE : refuse(option, OPTION_REPLY.ERR_POLICY, refusal);
    if (data === null) {
      if (option === OPTION.EXPORT_NAME) return CLOSE;
      return refuse(option, OPTION_REPLY.ERR_TOO_BIG, 'The data of the option is too long');
    }
    switch (option) {
      case OPTION.EXPORT_NAME:
        return this.exportName(data);
      case OPTION.LIST:
        return this.listExports(option, data);
      case OPTION.INFO:
      case OPTION.GO:
        return this.info(option, data);
      case OPTION.STRUCTURED_REPLY:
        return this.structuredReply(option, data);
      case OPTION.LIST_META_CONTEXT:
        return this.listContexts(option, data);
      case OPTION.SET_META_CONTEXT:
        return this.setContexts(option, data);
      default:
        return refuse(option, OPTION_REPLY.ERR_UNSUP, `Option ${option} is not supported`);
    }
  }

  private exportName(data: Buffer): HandshakeStep {
    const found = findExport(this.volumes.list(), data.toString('utf8'));
    if (found.volume === null) return CLOSE;
    return { reply: exportNameReply(found.volume, this.isStructured, this.hasZeroes), next: this.agreement(found.volume) };
  }

  private listExports(option: number, data: Buffer): HandshakeStep {
    if (data.length > 0) return refuse(option, OPTION_REPLY.ERR_INVALID, 'LIST takes no data');
    const replies = this.volumes.list().map((volume) => serverReply(option, volume));
    return acknowledge(option, replies, 'option');
  }

  private info(option: number, data: Buffer): HandshakeStep {
    const request = parseNamed(data);
    if (request === null) return refuse(option, OPTION_REPLY.ERR_INVALID, 'The lengths in INFO or GO do not fit its data');
    const found = findExport(this.volumes.list(), request.name);
    if (found.volume === null) return refuse(option, OPTION_REPLY.ERR_UNKNOWN, found.problem);
    if (request.kinds.has(INFO.BLOCK_SIZE)) this.sizesKnown.add(exportKey(found.volume));
    const replies = infoReplies(option, found.volume, this.isStructured, request.kinds);
    return acknowledge(option, replies, option === OPTION.GO ? this.agreement(found.volume) : 'option');
  }

  private structuredReply(option: number, data: Buffer): HandshakeStep {
    if (data.length > 0) return refuse(option, OPTION_REPLY.ERR_INVALID, 'STRUCTURED_REPLY takes no data');
    this.isStructured = true;
    return acknowledge(option, [], 'option');
  }

  private listContexts(option: number, data: Buffer): HandshakeStep {
    const request = parseContexts(data);
    if (request === null) return refuse(option, OPTION_REPLY.ERR_INVALID, 'The lengths in LIST_META_CONTEXT do not fit its data');
    const found = findExport(this.volumes.list(), request.name);
    if (found.volume === null) return refuse(option, OPTION_REPLY.ERR_UNKNOWN, found.problem);
    const replies = listedContexts(found.volume, request.queries).map((context) => metaContextReply(option, context));
    return acknowledge(option, replies, 'option');
  }

  private setContexts(option: number, data: Buffer): HandshakeStep {
    // Even a SET_META_CONTEXT that fails cancels an earlier selection.
    this.selected = null;
    if (!this.isStructured)
      return refuse(option, OPTION_REPLY.ERR_INVALID, 'SET_META_CONTEXT needs structured replies: ask for them first');
    const request = parseContexts(data);
    if (request === null) return refuse(option, OPTION_REPLY.ERR_INVALID, 'The lengths in SET_META_CONTEXT do not fit its data');
    const found = findExport(this.volumes.list(), request.name);
    if (found.volume === null) return refuse(option, OPTION_REPLY.ERR_UNKNOWN, found.problem);
    const contexts = selectedContexts(found.volume, request.queries);
    this.selected = { key: exportKey(found.volume), contexts };
    const replies = contexts.map((context) => metaContextReply(option, context));
    return acknowledge(option, replies, 'option');
  }

  private agreement(volume: NbdExport): Agreement {
    const key = exportKey(volume);
    return {
      volume,
      isStructured: this.isStructured,
      contexts: this.selected?.key === key ? this.selected.contexts : [],
      mayUseAnyRange: !this.sizesKnown.has(key),
    };
  }
}

function acknowledge(option: number, replies: readonly Buffer[], next: HandshakeStep['next']): HandshakeStep {
  return { reply: Buffer.concat([...replies, optionReply(option, OPTION_REPLY.ACK)]), next };
}

function refuse(option: number, type: number, sentence: string): HandshakeStep {
  return { reply: optionError(option, type, sentence), next: 'option' };
}

/**
 * Decodes the data of INFO and GO: name length (u32) | name | count (u16) | count x information type (u16). Returns null if the lengths do
 * not add up.
 */
function parseNamed(data: Buffer): NamedRequest | null {
  if (data.length < 6) return null;
  const nameBytes = data.readUInt32BE(0);
  if (nameBytes > data.length - 6) return null;
  const count = data.readUInt16BE(4 + nameBytes);
  const listStart = 6 + nameBytes;
  if (data.length !== listStart + 2 * count) return null;
  const kinds = new Set<number>();
  for (let i = 0; i < count; i++) kinds.add(data.readUInt16BE(listStart + 2 * i));
  return { name: data.toString('utf8', 4, 4 + nameBytes), kinds: kinds };
}

/**
 * Decodes the data of LIST_META_CONTEXT and SET_META_CONTEXT: name length (u32) | name | count (u32) | count x (length (u32) | query).
 * Returns null if the lengths do not add up.
 */
function parseContexts(data: Buffer): ContextRequest | null {
  if (data.length < 8) return null;
  const nameBytes = data.readUInt32BE(0);
  if (nameBytes > data.length - 8) return null;
  const count = data.readUInt32BE(4 + nameBytes);
  let at = 8 + nameBytes;
  const queries: string[] = [];
  for (let i = 0; i < count; i++) {
    if (data.length - at < 4) return null;
    const queryBytes = data.readUInt32BE(at);
    at += 4;
    if (queryBytes > data.length - at) return null;
    queries.push(data.toString('utf8', at, at + queryBytes));
    at += queryBytes;
  }
  return at === data.length ? { name: data.toString('utf8', 4, 4 + nameBytes), queries } : null;
}
