// `npm run drill -- postgres`: PostgreSQL with its data and its WAL on two volumes. While pgbench runs, the program takes snapshots of both volumes
// as a group, with and without --freeze, and clones them. A second PostgreSQL starts from the clones. Invariant: PostgreSQL
// starts from each clone, pg_amcheck and a sequential read find no damage, and each clone has every transaction that was answered before its
// snapshot was requested.

import { mkdirSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { DeviceScene } from '../support/devices/device-scene.ts';
import { makeReflinkDisk } from '../support/devices/reflink-disk.ts';
import { defineDrill } from '../support/drills/harness.ts';
import { DEVICES, EXT4, POSTGRESQL, XFS } from '../support/drills/needs.ts';
import { count } from '../support/drills/options.ts';
import type { Scene } from '../support/drills/scene.ts';

const DISK_BYTES = 8 * 1024 ** 3;
const SERVER_DIRECTORY = '/usr/lib/postgresql';

/** Shell functions; \`$1\`: working folder, \`$2\`: folder with the programs of PostgreSQL. */
const SHELL = `
work=$1; bin=$2; shift 2
sql() { runuser -u postgres -- "$bin/psql" -qtAX -h "$work/run" -p "$1" -d bench -c "$2"; }
begin() { runuser -u postgres -- "$bin/pg_ctl" -s -w -t 60 -D "$1/pg" -l "$work/run/$2.log" -o "-p $2 -k $work/run -c listen_addresses=" start; }
end() { runuser -u postgres -- "$bin/pg_ctl" -s -w -t 60 -m "$2" -D "$1/pg" stop; }
`;

async function play(on: Scene, { runs }: { readonly runs: number }): Promise<void> {
  const { hosts } = on;
  const bin = path.join(SERVER_DIRECTORY, readdirSync(SERVER_DIRECTORY).toSorted().at(-1) ?? '', 'bin');
  const mounted = makeReflinkDisk(hosts, hosts.host(), DISK_BYTES, 'xfs', 'pool');
  if (mounted === null) throw new Error('No XFS on a loop device here');
  mkdirSync(path.join(mounted, 'pool'));
  const scene = await DeviceScene.begin(hosts, 'block', { rights: { 'big-2': 'manage' } });
  const { devices, host } = scene;
  await host.rsadmWell('pool', 'add', 'fast', path.join(mounted, 'pool'), '--reserve', '0%');
  for (const name of ['data', 'wal']) await host.rsconfigWell('volume', 'create', name, '--size', '1g', '--attach');
  const work = scene.folder('postgres');
  const shell = (script: string, ...words: readonly string[]): Promise<string> => devices.well(SHELL + script, work, bin, ...words);
  await shell(
    `mkdir "$work/run" "$work/data" "$work/wal"
       mkfs.ext4 -q "$1"; mount "$1" "$work/data"; mkfs.xfs -q "$2"; mount "$2" "$work/wal"
       chown postgres "$work/run" "$work/data" "$work/wal"
       at=$work; while [ "$at" != / ]; do chmod o+x "$at"; at=$(dirname "$at"); done
       runuser -u postgres -- "$bin/initdb" -k -D "$work/data/pg" -X "$work/wal/pg" > "$work/run/initdb"
       begin "$work/data" 5501; runuser -u postgres -- "$bin/createdb" -h "$work/run" -p 5501 bench
       runuser -u postgres -- "$bin/pgbench" -q -i -s 10 -h "$work/run" -p 5501 bench 2> "$work/run/init"
       sql 5501 'create extension amcheck; create table said(number int primary key)'`,
    scene.place('data'),
    scene.place('wal'),
  );
  for (let run = 1; run <= runs && !on.isEnding; run++) {
    on.round(`snapshot ${run}`);
    const freeze = run % 2 === 0 ? ['--freeze'] : [];
    const load = scene.beside('runuser', [
      ...['-u', 'postgres', '--', `${bin}/pgbench`, '-n', '-c', '4', '-T', '15', '-h', path.join(work, 'run'), '-p', '5501', 'bench'],
    ]);
    await shell(`sleep 5; sql 5501 "insert into said values ($1)"`, String(run));
    await host.rsconfigWell('volume', 'snapshot', ...freeze, `data@s${run}`, `wal@s${run}`);
    await load.ended;
    for (const name of ['data', 'wal']) {
      await host.rsconfigWell('volume', 'clone', `${name}@s${run}`, `${name}${run}`);
      await host.rsconfigWell('-a', `${name}${run}`);
    }
    const result = await devices.shell(
      `${SHELL}
        mkdir -p "$work/copy" "$work/copywal"; mount "$1" "$work/copy"; mount -o nouuid "$2" "$work/copywal"
        ln -sfn "$work/copywal/pg" "$work/copy/pg/pg_wal"; rm -f "$work/copy/pg/postmaster.pid"
        begin "$work/copy" 5502 || { cat "$work/run/5502.log"; exit 1; }
        runuser -u postgres -- "$bin/pg_amcheck" --heapallindexed -h "$work/run" -p 5502 -d bench
        [ "$(sql 5502 'select count(*) from said')" -ge "$3" ]
        sql 5502 'select sum(abalance) = (select sum(tbalance) from pgbench_tellers) from pgbench_accounts'
        grep -iE 'panic|corrupt|invalid page|checksum' "$work/run/5502.log" || true
        end "$work/copy" fast; umount "$work/copy" "$work/copywal"; rm "$work/run/5502.log"`,
      ...[work, bin, scene.place(`data${run}`), scene.place(`wal${run}`), String(run)],
    );
    const isWell = result.code === 0 && result.stdout.trim() === 't';
    on.say(`snapshot ${run}${freeze.length > 0 ? ' frozen' : ''}: ${isWell ? 'starts, amcheck clean, balances agree' : 'damaged'}`);
    if (!isWell) on.problem(`${result.stdout}${result.stderr}`);
  }
  await shell('end "$work/data" fast; umount "$work/data" "$work/wal"');
}

export const drill = defineDrill({
  about: 'Snapshots of a PostgreSQL on two volumes under pgbench.',
  needs: [DEVICES, POSTGRESQL, XFS, EXT4],
  unit: 'snapshots',
  options: { runs: count(4, 'snapshots, half of them with --freeze') },
  play,
});
