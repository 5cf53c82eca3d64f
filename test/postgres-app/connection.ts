// The client of the database, on a machine of its own: connects to the moving address, inserts numbers, notes each acknowledged commit in the
// ledger, and connects again after a loss. Each row has the name of the node that wrote it, and a number from one sequence, so that the table
// shows the order of the writers. Invariant: a lost connection is no problem, but an acknowledged number that the table lacks
// is one.

import { setTimeout as sleep } from 'node:timers/promises';
import { DATABASE, PORT } from '../postgres-mirror/database.ts';
import type { Ledger, LedgerLanes } from '../postgres-mirror/ledger.ts';
import type { Machine } from '../support/netlab/netlab.ts';
import { runWell } from '../support/programs/programs.ts';
import { ADDRESS } from './application.ts';

const LANES = 2;
const AGAIN_MS = 100;

const WRITER = "node text not null default current_setting('cluster_name'), id bigint not null default nextval('writes')";
/** `beats`: rows that the check of the application inserts on its own node. */
export const TABLES = `create sequence writes; create table ledger(number int primary key, ${WRITER}); create table beats(${WRITER})`;
/** By default, PostgreSQL flushes the device once for each file before it recovers. */
export const SETTINGS = 'recovery_init_sync_method = syncfs';
export const ACCESS = 'host all all 10.0.0.0/24 trust';
const WRITERS = 'select id, node from (select id, node from ledger union all select id, node from beats) as both_tables where id > ';

export class Connection {
  private readonly command: readonly string[];
  private readonly ledger: Ledger;
  private readonly lanes = new Set<LedgerLanes>();
  private ended: Promise<unknown> = Promise.resolve();
  private isEnding = false;
  private lastId = 0;

  constructor(machine: Machine, psql: string, ledger: Ledger) {
    this.ledger = ledger;
    const alive = 'connect_timeout=2 keepalives_idle=1 keepalives_interval=1 keepalives_count=2 tcp_user_timeout=2000';
    const place = `host=${ADDRESS} port=${PORT} dbname=${DATABASE} user=postgres ${alive}`;
    // `ip netns exec` would give the program copies of the mounts of servers.
    this.command = ['nsenter', `--net=/run/netns/${machine.namespace}`, psql, '-qtAX', place];
  }

  start(): void {
    this.ended = Promise.all(Array.from({ length: LANES }, () => this.follow()));
  }

  async stop(): Promise<void> {
    this.isEnding = true;
    await Promise.all([...this.lanes].map((lane) => lane.stop()));
    await this.ended;
  }

  /**
   * Compares the table with the ledger, and looks at the writers since the last call: once another node has written, an earlier writer must
   * not write again. Returns problems.
   */
  async check(holder: string): Promise<string[]> {
    const { present } = this.ledger;
    const numbers = rowsOf(await this.query('select number from ledger')).map(Number);
    const rows = rowsOf(await this.query(`${WRITERS}${this.lastId} order by id`)).map((row) => row.split('|'));
    this.lastId = Number(rows.at(-1)?.[0] ?? this.lastId);
    const turns = rows.map(([, node = '']) => node).filter((node, index, all) => node !== all[index - 1]);
    return [
      ...this.ledger.compare(numbers, present),
      ...(new Set(turns).size === turns.length ? [] : [`A writer came back after another one: ${turns.join(' ')}`]),
      ...(turns.at(-1) === holder ? [] : [`The last writer is ${turns.at(-1) ?? 'nobody'}, and ${holder} has the application`]),
    ];
  }

  private async query(sql: string): Promise<string> {
    const [program = '', ...args] = this.command;
    return await runWell(program, [...args, '-c', sql]);
  }

  private async follow(): Promise<void> {
    while (!this.isEnding) {
      const lane = this.ledger.begin(this.command, 1);
      this.lanes.add(lane);
      await lane.ended;
      this.lanes.delete(lane);
      await sleep(AGAIN_MS);
    }
  }
}

function rowsOf(text: string): string[] {
  return text.split('\n').filter((line) => line !== '');
}
