// PostgreSQL on ext4 on the device of a mirror or volume, at the client machine with this device. This file creates the database, opens it
// after the loss of another client, checks it and closes it. The load is pgbench and the ledger. Invariant: damage and failed transactions
// are reported as problems; a failure that prevents the next step is an error.

import { readdirSync } from 'node:fs';
import path from 'node:path';
import type { DeviceHost } from '../support/devices/devices.ts';
import { BenchLoad } from './bench-load.ts';
import type { Ledger, LedgerLanes } from './ledger.ts';

const SERVER_DIRECTORY = '/usr/lib/postgresql';
export const PORT = '5501';
export const DATABASE = 'bench';
const SCALE = '5';
const SETTINGS = `
shared_buffers = 16MB
max_wal_size = 96MB
min_wal_size = 64MB
checkpoint_timeout = 30s
max_connections = 30
jit = off`;

/** Shell functions; \`$1\`: working folder, \`$2\`: folder with the programs of PostgreSQL, \`$3\`: device. */
const SHELL = `
work=$1; bin=$2; device=$3; shift 3
as() { setpriv --reuid=postgres --regid=postgres --init-groups "$@"; }
sql() { as "$bin/psql" -qtAX -v ON_ERROR_STOP=1 -h "$work/run" -p ${PORT} -d bench -c "$1"; }
begin() { as "$bin/pg_ctl" -s -w -t 50 -D "$work/mnt/pg" -l "$work/run/log" -o "-p ${PORT} -k $work/run -c listen_addresses=" start; }
folders() {
  mkdir -p "$work/run" "$work/mnt"; chown postgres "$work/run"
  at=$work; while [ "$at" != / ]; do chmod o+x "$at"; at=$(dirname "$at"); done
}
`;

const TABLES = 'create table ledger(number int primary key)';
const BALANCES = `select (select sum(abalance) from pgbench_accounts) = h and (select sum(tbalance) from pgbench_tellers) = h
  and (select sum(bbalance) from pgbench_branches) = h from (select coalesce(sum(delta), 0) as h from pgbench_history) as of_history`;
/**
 * Query for the files of the tables and indexes of the load. The files of catalogs are left out, because checking catalogs would take most
 * of a minute.
 */
const FILES = `select pg_relation_filepath(oid) from pg_class where oid >= 16384 and relkind in ('r', 'i')`;
/** Pattern for words that PostgreSQL logs only about damage and failed I/O. */
const DAMAGE = 'PANIC|corrupt|invalid page|checksum|could not (read|write|fsync|open file)|Input/output|unexpected data';

/** Additions to a database. `tables`: `ledger` has `number` as its first column. `access`: lines of pg_hba.conf. */
export interface DatabaseParts {
  readonly tables?: string;
  readonly settings?: string;
  readonly access?: string;
}

/** The client machine with the device. */
export interface DatabaseClient {
  readonly name: string;
  readonly devices: DeviceHost;
  readonly device: string;
}

export class Database {
  readonly client: DatabaseClient;
  /** Folder with the programs of PostgreSQL. */
  readonly bin: string;
  /** Folder with `mnt`, the mount with the database, and `run` for sockets and logs. */
  readonly work: string;
  private readonly ledger: Ledger;
  private lanes: LedgerLanes | null = null;
  private bench: BenchLoad | null = null;

  constructor(client: DatabaseClient, ledger: Ledger) {
    this.client = client;
    this.ledger = ledger;
    this.work = path.join(client.devices.host.root, 'work');
    this.bin = path.join(SERVER_DIRECTORY, readdirSync(SERVER_DIRECTORY).toSorted().at(-1) ?? '', 'bin');
  }

  /** Makes the database on an empty device. */
  async make({ tables = TABLES, settings = '', access = '' }: DatabaseParts = {}): Promise<void> {
    await this.well(
      `mkdir -p "$work"; folders; mkfs.ext4 -q -E nodiscard "$device"; mount "$device" "$work/mnt"; chown postgres "$work/mnt"
       as "$bin/initdb" -k -D "$work/mnt/pg" > "$work/run/initdb"; echo "$1" >> "$work/mnt/pg/postgresql.conf"
       echo "$2" >> "$work/mnt/pg/pg_hba.conf"
       begin; as "$bin/createdb" -h "$work/run" -p ${PORT} bench
       as "$bin/pgbench" -q -i -s ${SCALE} -h "$work/run" -p ${PORT} bench 2> "$work/run/init"
       sql "create extension amcheck; $3"; sync -f "$work/mnt"`,
      ...[`${SETTINGS}\n${settings}`, access, tables],
    );
  }

  /** Makes the folders that a database of another client needs here. */
  async prepare(): Promise<void> {
    await this.well('mkdir -p "$work"; folders');
  }

  /** Opens the database after the loss of the client that had it open. */
  async open(): Promise<void> {
    await this.well(
      `mkdir -p "$work"; folders; mount "$device" "$work/mnt"; rm -f "$work/mnt/pg/postmaster.pid" "$work/run/log"; begin || { cat "$work/run/log"; exit 1; }`,
    );
  }

  startLoad(): void {
    const [first = '', ...rest] = this.client.devices.command;
    const as = [first, ...rest, 'setpriv', '--reuid=postgres', '--regid=postgres', '--init-groups'];
    const place = ['-h', path.join(this.work, 'run'), '-p', PORT];
    this.lanes = this.ledger.begin([...as, `${this.bin}/psql`, '-qtAX', ...place, '-d', DATABASE]);
    this.bench = new BenchLoad([...as, `${this.bin}/pgbench`, ...place, DATABASE]);
  }

  /** Ends the load cleanly. Returns all failures of the load. */
  async stopLoad(): Promise<string[]> {
    await Promise.all([this.lanes?.stop(), this.bench?.stop()]);
    return this.failures;
  }

  /** Failures of transactions that happened before the machine was lost. */
  get failures(): string[] {
    return [...(this.lanes?.failures ?? []), ...(this.bench?.failures ?? [])];
  }

  /** Ignores later failures, because the machine is about to be lost. */
  doom(): void {
    this.lanes?.doom();
    this.bench?.doom();
  }

  /** Called after the machine was lost: waits for the end of the load. */
  async loadGone(): Promise<void> {
    await this.bench?.stop();
  }

  /**
   * Reads the tables and indexes of the load from the device and not from a cache. Expects that all balances agree in one snapshot of the
   * database. Returns problems.
   */
  async readAll(): Promise<string[]> {
    const dropped = `dd if="$work/mnt/pg/$file" iflag=nocache count=0 status=none 2>> "$work/run/dropped" || true`;
    const said = await this.well(`for file in $(sql "$2"); do ${dropped}; done; sql "$1"`, BALANCES, FILES);
    return said === 't\n' ? [] : [`The balances of pgbench do not agree: ${said}`];
  }

  /** `present`: numbers that must be in the table. */
  async compareLedger(present = this.ledger.present): Promise<string[]> {
    const found = await this.well('sql "select number from ledger"');
    const numbers = found
      .split('\n')
      .filter((line) => line !== '')
      .map(Number);
    return this.ledger.compare(numbers, present);
  }

  async amcheck(): Promise<string[]> {
    const words = '--heapallindexed --rootdescend -h "$work/run" -p 5501 -d bench';
    const { code, stdout, stderr } = await this.shell(`as "$bin/pg_amcheck" ${words}`);
    return code === 0 ? [] : [`pg_amcheck: ${stdout}${stderr}`];
  }

  /** Returns the number of committed transactions of pgbench. */
  async transactions(): Promise<number> {
    return Number(await this.well('sql "select count(*) from pgbench_history"'));
  }

  /** Returns the lines about damage that PostgreSQL has logged since the database was opened. */
  async complaints(): Promise<string[]> {
    const said = await this.well('grep -E "$1" "$work/run/log" || true', DAMAGE);
    return said === '' ? [] : [`PostgreSQL on ${this.client.name}: ${said}`];
  }

  /** Closes the database, and checks its pages and the file system. Returns the problems that were found. */
  async close(): Promise<string[]> {
    await this.well('as "$bin/pg_ctl" -s -w -t 50 -m fast -D "$work/mnt/pg" stop');
    const pages = await this.shell('as "$bin/pg_checksums" --check -D "$work/mnt/pg"');
    await this.well('umount "$work/mnt"');
    const files = await this.shell('e2fsck -fn "$device" 2>&1');
    const errors = await this.well('dumpe2fs -h "$device" 2> "$work/run/dumpe2fs" | grep -E "^(FS Error count|First error)" || true');
    return [
      ...(pages.code === 0 ? [] : [`pg_checksums: ${pages.stdout}${pages.stderr}`]),
      ...(files.code === 0 ? [] : [`e2fsck: ${files.stdout}`]),
      ...(errors === '' ? [] : [`ext4 has seen errors: ${errors}`]),
    ];
  }

  private shell(script: string, ...words: readonly string[]) {
    return this.client.devices.shell(SHELL + script, this.work, this.bin, this.client.device, ...words);
  }

  private well(script: string, ...words: readonly string[]): Promise<string> {
    return this.client.devices.well(SHELL + script, this.work, this.bin, this.client.device, ...words);
  }
}
