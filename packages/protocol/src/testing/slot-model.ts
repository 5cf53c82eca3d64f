// Models both ends of the slot rules: Slots and Fences in the client, SlotTable in the server. The paths deliver bytes when the test
// requests it. Each direction is a FIFO, and either end may close a path at any time. The server may still read bytes that were sent before
// a path was closed. Numbers select the moves. The model checks that a request is executed at most once, and never after its answer was
// delivered. The model also checks that no correct peer is accused of a violation. After all faults are over, every request must be
// answered and every slot must be free.

import { Fences } from '../client/fences.ts';
import { Request } from '../client/requests/request.ts';
import { SlotTable } from '../link/slot-table.ts';
import { Slots } from '../client/requests/slots.ts';
import { OP } from '../wire/frames.ts';
import { emptyHeader } from '../wire/header.ts';

/** A rule that is broken on purpose, to check that the model detects the violation. */
export type BrokenRule = 'no-quarantine' | 'no-fence-wait' | 'fenced-early' | 'welcome-early' | 'answer-elsewhere' | 'no-reask';

type Upward =
  | { readonly kind: 'request'; readonly slot: number; readonly seq: number; readonly number: number }
  | { readonly kind: 'fence'; readonly path: number };
type Downward =
  | { readonly kind: 'welcome'; readonly named: readonly number[] }
  | { readonly kind: 'answer'; readonly slot: number; readonly seq: number }
  | { readonly kind: 'fenced'; readonly path: number };

interface ModelPath {
  readonly number: number;
  readonly up: Upward[];
  readonly down: Downward[];
  /** True while the client has received WELCOME and has not closed the path. */
  isLiving: boolean;
  isClientClosed: boolean;
  isServerClosed: boolean;
}

const LIVING_MAX = 3;
const FAULT_RARITY = 6;

class ModelRequest extends Request {
  number = 0;
}

export class SlotModel {
  readonly failures: string[] = [];
  readonly slots: Slots;
  readonly delivered = new Set<number>();
  submitted = 0;
  private readonly table: SlotTable;
  private readonly fences = new Fences();
  private readonly paths: ModelPath[] = [];
  private readonly executed = new Set<number>();
  private readonly executing: { readonly slot: number; readonly seq: number }[] = [];
  private readonly broken: BrokenRule | null;

  constructor(size: number, broken: BrokenRule | null) {
    this.slots = new Slots(size);
    this.table = new SlotTable(size);
    this.broken = broken;
  }

  move(choice: number): void {
    const { often, faults } = this.moves();
    const oftenCount = FAULT_RARITY * often.length;
    const at = choice % (oftenCount + faults.length);
    (at < oftenCount ? often[at % often.length] : faults[at - oftenCount])!();
  }

  /** Ends all faults: everything in transit arrives, unanswered requests are sent again, and two correct ends become idle. */
  settle(): void {
    for (let round = 0; round < 200 && !this.isAtRest; round++) {
      if (this.living.length === 0) this.connect();
      for (const path of this.paths) {
        while (path.up.length > 0 && !path.isServerClosed) this.serverReads(path);
        if (path.isClientClosed && path.up.length === 0) path.isServerClosed = true;
      }
      while (this.executing.length > 0) this.finish(0);
      for (const path of this.paths) this.clientReadsAll(path);
      this.askFences();
      this.askAgain();
    }
    if (!this.isAtRest)
      this.failures.push(
        `Not at rest: ${this.delivered.size} of ${this.submitted} answered, ${this.slots.freeCount} of ${this.slots.size} slots free`,
      );
  }

  private get isAtRest(): boolean {
    return this.delivered.size === this.submitted && this.slots.freeCount === this.slots.size;
  }

  private get living(): ModelPath[] {
    return this.paths.filter(({ isLiving }) => isLiving);
  }

  /** Returns the moves that are possible now. Each move in `often` is as likely as FAULT_RARITY faults together. */
  private moves(): { readonly often: readonly (() => void)[]; readonly faults: readonly (() => void)[] } {
    const { living, paths } = this;
    const often: (() => void)[] = [];
    const faults: (() => void)[] = [];
    if (paths.filter(({ isClientClosed }) => !isClientClosed).length < LIVING_MAX) often.push(() => this.connect());
    const hasUnasked = this.fences.unrequested().length > 0;
    for (const path of living) {
      if (this.slots.hasRoom(true)) often.push(() => this.submit(path));
      for (let slot = 0; slot < this.slots.size; slot++) if (this.mayAsk(slot, path)) often.push(() => this.send(slot, path));
      if (hasUnasked) often.push(() => this.askFencesOn(path));
      faults.push(() => this.clientCloses(path));
    }
    for (const path of paths) {
      if (path.up.length > 0 && !path.isServerClosed) often.push(() => this.serverReads(path));
      if (path.down.length > 0 && !path.isClientClosed) often.push(() => this.clientReads(path));
      if (path.isServerClosed && path.down.length === 0 && path.isLiving) often.push(() => this.clientCloses(path));
      if (!path.isServerClosed) faults.push(() => this.serverCloses(path.number));
    }
    this.executing.forEach((_execution, index) => often.push(() => this.finish(index)));
    return { often, faults };
  }

  private mayAsk(slot: number, path: ModelPath): boolean {
    return this.slots.requestOf(slot) !== null && !this.slots.copiesOf(slot).includes(path.number);
  }

  // --- the client

  private submit(path: ModelPath): void {
    const request = new ModelRequest();
    request.number = this.submitted++;
    this.send(this.slots.take(request), path);
  }

  private send(slot: number, path: ModelPath): void {
    const request = this.slots.requestOf(slot) as ModelRequest;
    this.slots.addCopy(slot, path.number);
    path.up.push({ kind: 'request', slot, seq: this.slots.seqOf(slot), number: request.number });
  }

  private clientCloses(path: ModelPath): void {
    path.isLiving = false;
    path.isClientClosed = true;
    path.down.length = 0;
    this.fences.died(path.number);
    if (this.broken === 'no-fence-wait') this.slots.fenced(path.number);
  }

  private askFences(): void {
    const [path] = this.living;
    if (path !== undefined) this.askFencesOn(path);
  }

  private askFencesOn(path: ModelPath): void {
    for (const number of this.fences.unrequested())
      if (this.fences.request(number, path.number)) path.up.push({ kind: 'fence', path: number });
  }

  private askAgain(): void {
    const good = new Set(this.living.map(({ number }) => number));
    const [path] = this.living;
    if (path === undefined || this.broken === 'no-reask') return;
    for (const slot of this.slots.unserved((number) => good.has(number))) this.send(slot, path);
  }

  private clientReadsAll(path: ModelPath): void {
    while (path.down.length > 0 && !path.isClientClosed) this.clientReads(path);
    if (path.isServerClosed && path.isLiving) this.clientCloses(path);
  }

  private clientReads(path: ModelPath): void {
    const message = path.down.shift()!;
    switch (message.kind) {
      case 'welcome':
        path.isLiving = true;
        for (const number of message.named) if (this.fences.confirmed(number)) this.slots.fenced(number);
        return;
      case 'fenced': {
        const kind = this.fences.answered(message.path, path.number);
        if (kind === 'fenced') this.slots.fenced(message.path);
        if (kind === 'violation') this.failures.push(`The server is taken for a liar: FENCED for ${message.path}`);
        return;
      }
      case 'answer':
        this.answered(message.slot, message.seq, path.number);
    }
  }

  private answered(slot: number, seq: number, path: number): void {
    const request = this.slots.requestOf(slot) as ModelRequest | null;
    const kind = this.slots.answer(slot, seq, path);
    if (kind === 'violation') this.failures.push(`The server is taken for a liar: answer for slot ${slot} seq ${seq} on path ${path}`);
    if (kind !== 'result') return;
    this.delivered.add(request!.number);
    if (this.broken === 'no-quarantine') for (const other of [...this.slots.copiesOf(slot)]) this.slots.answer(slot, seq, other);
    this.slots.settle(slot);
  }

  // --- the server

  private connect(): void {
    const named = this.fences.named();
    if (this.broken !== 'welcome-early') for (const number of named) this.serverCloses(number);
    this.paths.push({
      number: this.paths.length,
      up: [],
      down: [{ kind: 'welcome', named }],
      isLiving: false,
      isClientClosed: false,
      isServerClosed: false,
    });
  }

  private serverCloses(number: number): void {
    const path = this.paths[number]!;
    path.isServerClosed = true;
    path.up.length = 0;
    this.table.forget(number);
  }

  private serverReads(path: ModelPath): void {
    const message = path.up.shift()!;
    if (message.kind === 'fence') {
      if (this.broken !== 'fenced-early') this.serverCloses(message.path);
      path.down.push({ kind: 'fenced', path: message.path });
      return;
    }
    const { slot, seq, number } = message;
    const receipt = this.table.receive({ ...emptyHeader(), op: OP.WRITE, slot, seq, lba: number }, path.number, 0, 0);
    if (receipt === 'new') this.execute(slot, seq, number);
    else if (receipt === 'done') this.answer(slot, seq, path.number);
    else if (receipt !== 'executing') this.failures.push(`The client is taken for a liar: slot ${slot} seq ${seq} is ${receipt}`);
  }

  private execute(slot: number, seq: number, number: number): void {
    if (this.executed.has(number)) this.failures.push(`Request ${number} is executed twice`);
    if (this.delivered.has(number)) this.failures.push(`Request ${number} is executed after its answer was delivered`);
    this.executed.add(number);
    this.executing.push({ slot, seq });
  }

  private finish(index: number): void {
    const [execution] = this.executing.splice(index, 1);
    const { slot, seq } = execution!;
    for (const path of this.table.finish(slot, 0)) this.answer(slot, seq, path);
  }

  private answer(slot: number, seq: number, number: number): void {
    const path = this.paths[number]!;
    if (!path.isServerClosed) path.down.push({ kind: 'answer', slot, seq });
    else if (this.broken === 'answer-elsewhere')
      this.paths.find(({ isServerClosed }) => !isServerClosed)?.down.push({ kind: 'answer', slot, seq });
  }
}
