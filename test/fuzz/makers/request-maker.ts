// Makes the requests of a client on one path from a seed. The requests use open handles and slots with the right next seq; some are copies
// or have a wrong value. The targets judge the effects.

import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import { FLAG, FRAMES, OP } from '@rsio/protocol/wire/frames';
import { ADMIN, AdminCall, AdminRest, ExtentsRequest, Farewell, Ping, OpenRequest } from '@rsio/protocol/wire/messages';
import { VoteClaim, VoteFound, VotePlace, VoteRecord, VoteTerm } from '@rsio/protocol/wire/mirror-messages';
import { anyFrame, dataOf, frameBytes } from './frame-maker.ts';

const SLOTS_USED = 12;
/** A storm has more READs of the largest size than fit in the window. Each READ has its own slot. */
const STORM = { READS: 64, FIRST_SLOT: 100, SECTORS: 2048 } as const;
const EMPTY = Buffer.alloc(0);

export class RequestMaker {
  private readonly random: SeededRandom;
  private readonly volumes: readonly string[];
  private readonly seqs = new Map<number, number>();
  private readonly made: Buffer[] = [];
  private handles = 0;

  /** `volumes`: names of the volumes that the requests open. */
  constructor(random: SeededRandom, volumes: readonly string[]) {
    this.random = random;
    this.volumes = volumes;
  }

  open(name = this.random.pick(this.volumes)): Buffer {
    this.handles++;
    return this.slotted(OP.OPEN, {}, OpenRequest.encode({ name, universe: 0, readonly: this.random.chance(0.2) }));
  }

  /** Returns more READs at once than the window permits. */
  storm(): Buffer {
    const fields = (slot: number) => ({ handle: 1, slot, seq: 1, lba: 0, count: STORM.SECTORS });
    const reads = Array.from({ length: STORM.READS }, (_, index) => frameBytes(OP.READ, fields(STORM.FIRST_SLOT + index), 'io', EMPTY));
    return Buffer.concat(reads);
  }

  any(): Buffer {
    const kind = this.random.int(0, 99);
    if (kind < 60) return this.io();
    if (kind < 72) return this.message();
    if (kind < 84) return this.control();
    if (kind < 92 && this.made.length > 0) return this.random.pick(this.made);
    return anyFrame(this.random);
  }

  private io(): Buffer {
    const { random } = this;
    const op = random.pick([OP.READ, OP.READ, OP.WRITE, OP.WRITE, OP.FLUSH, OP.DISCARD, OP.ZERO]);
    const isLarge = op === OP.READ && random.chance(0.1);
    const count = op === OP.FLUSH ? 0 : isLarge ? 2048 : random.pick([1, 8, 8, 16, 0]);
    const lba = op === OP.FLUSH ? 0 : random.pick([0, 8, 64, 2040, 2047, 2048, 2 ** 47]);
    const flags = random.chance(0.85) ? 0 : random.pick([FLAG.FUA, FLAG.WIDE, FLAG.NO_HOLE, FLAG.MORE, 255]);
    const handle = random.chance(0.9) ? random.int(1, Math.max(1, this.handles)) : random.pick([0, 9, 65_535]);
    return this.slotted(op, { flags, handle, lba, count }, op === OP.WRITE ? dataOf(count) : EMPTY);
  }

  private message(): Buffer {
    const { random } = this;
    const handle = random.int(1, Math.max(1, this.handles));
    switch (random.int(0, 4)) {
      case 0:
        return this.slotted(OP.LIST, {}, EMPTY);
      case 4:
        return random.chance(0.5) ? this.admin() : this.vote();
      case 1:
        return this.open();
      case 2:
        return this.slotted(OP.CLOSE, { handle }, EMPTY);
      default: {
        const aux = random.int(0, 9);
        return this.slotted(OP.IOCTL, { handle, aux }, aux === 2 ? ExtentsRequest.encode({ lba: 8, sectors: random.int(1, 3000) }) : EMPTY);
      }
    }
  }

  private admin(): Buffer {
    const { random } = this;
    if (random.chance(0.3)) return this.slotted(OP.ADMIN, { aux: ADMIN.REST }, AdminRest.encode({ answer: random.int(1, 5), offset: 0 }));
    const params = Buffer.from(random.pick(['{}', '[]', '{', '{"name":"oracle"}', '']));
    const body = AdminCall.encode({ request: 'id', method: random.pick(['daemon', 'volume-list', 'x']), params, withinMs: 1 });
    return this.slotted(OP.ADMIN, { aux: random.pick([ADMIN.CALL, ADMIN.CALL, ADMIN.REST, 0, 7]) }, body);
  }

  private vote(): Buffer {
    const { random } = this;
    const mirror = random.pick(['0', 'f']).repeat(32);
    const number = random.int(1, 5);
    const bodies = [
      VoteFound.encode({ mirror, name: 'db', universe: 0 }),
      VoteClaim.encode({ mirror, number, takesOver: random.chance(0.5) }),
      VoteRecord.encode({ mirror }),
      VoteTerm.encode({ mirror, number }),
      VotePlace.encode({ mirror, number, volume: 'oracle', universe: 0 }),
      EMPTY,
    ];
    return this.slotted(OP.VOTE, { aux: random.int(0, 10) }, random.pick(bodies));
  }

  private control(): Buffer {
    const { random } = this;
    const heartbeat = Ping.encode({ number: random.int(0, 5), clockMs: 1, heard: random.int(0, 5), oldestMs: 0, generation: 0 });
    switch (random.int(0, 9)) {
      case 0:
        return frameBytes(OP.BYE, {}, 'message', Farewell.encode({ code: 'E_SHUTTING_DOWN', sentence: 'bye' }));
      case 1:
      case 2:
      case 3:
        return frameBytes(OP.FENCE, { aux: random.int(0, 4) }, 'message', EMPTY);
      case 4:
        return frameBytes(OP.PONG, {}, 'message', heartbeat);
      default:
        return frameBytes(OP.PING, {}, 'message', heartbeat);
    }
  }

  private slotted(
    op: number,
    fields: { handle?: number; flags?: number; lba?: number; count?: number; aux?: number },
    body: Buffer,
  ): Buffer {
    const { random } = this;
    const slot = random.chance(0.97) ? random.int(0, SLOTS_USED) : random.pick([255, 256, 65_535]);
    const isNext = random.chance(0.95);
    const seq = ((this.seqs.get(slot) ?? 0) + (isNext ? 1 : random.int(0, 3))) % 0x10000;
    if (isNext) this.seqs.set(slot, seq);
    const shape = FRAMES.find((entry) => entry.op === op)?.shape ?? 'io';
    const frame = frameBytes(op, { ...fields, slot, seq }, shape, body);
    if (frame.length < 16_384) this.made.push(frame);
    return frame;
  }
}
