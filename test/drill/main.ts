// The table of all drills and measurements, and their one main: the first word is the family, and the second one the name. Every other file tells a
// drill by its place in this table.

import { type Family, runFamily } from '../support/drills/harness.ts';

const FAMILIES: Readonly<Record<string, Family>> = {
  drill: {
    middleman: ['changes bytes of one path under verified I/O', () => import('../figures/middleman.ts')],
    restarts: ['kills, crashes and replaces a server under verified I/O', () => import('../figures/restarts.ts')],
    'many-devices': ['attaches a thousand volumes as devices', () => import('../figures/many-devices.ts')],
    'many-volumes': ['creates ten thousand volumes in a pool', () => import('../figures/many-volumes.ts')],
    'power-cuts': ['cuts the power and kills rssrv at changes of snapshots and moves', () => import('../figures/power-cuts.ts')],
    pools: ['random I/O, orders and kills; every content is compared', () => import('./pools.ts')],
    sites: ['replication to another server under faults; every clone is compared', () => import('../sites/drill.ts')],
    postgres: ['starts PostgreSQL from clones of a group of snapshots', () => import('../figures/postgres.ts')],
    'iscsi-suite': ['libiscsi at a gate with a mirror or failing paths behind it', () => import('../figures/iscsi-suite.ts')],
    namespace: ['many servers and clients by one file', () => import('../figures/namespace-lab.ts')],
    healing: ['replicas of lost servers that are rebuilt, server after server', () => import('../figures/healing-lab.ts')],
    flips: ['damaged files of state and of a pool, each named or without effect', () => import('../figures/flips.ts')],
    'half-logins': ['connections that end or lie at any byte of a handshake', () => import('../figures/half-logins.ts')],
    impact: ['what stops if servers are switched off, said before and compared', () => import('../figures/impact-lab.ts')],
    'data-centre': ['three servers in two namespaces and three clients', () => import('../data-centre/drill.ts')],
    'vm-boot': ['the packages under systemd in two virtual machines', () => import('../vm/boot.ts')],
    upgrades: ['upgrades from the last release, under systemd and a writer', () => import('../vm/upgrades/main.ts')],
    'vm-lun': ['a farm on a LUN of an iSCSI target in three virtual machines', () => import('../vm/lun/lun.ts')],
    'vm-applications': ['an application that moves, by systemd in virtual machines', () => import('../vm/applications/applications.ts')],
    'vm-appliance': ['the appliance by its keyboard in a virtual machine', () => import('../vm/appliance/appliance.ts')],
    farm: ['a farm on Ceph whose servers fail, under verified load', () => import('../farm/drill.ts')],
    'csi-image': ['the image of the CSI driver, replaced under verified I/O', () => import('../csi-image/drill.ts')],
    'postgres-mirror': ['PostgreSQL on a mirror whose machines fail', () => import('../postgres-mirror/drill.ts')],
    'postgres-app': ['PostgreSQL as an application whose nodes and services fail', () => import('../postgres-app/drill.ts')],
  },
  measure: {
    gaps: ['how long I/O pauses when a path fails', () => import('../figures/gaps.ts')],
    'mirror-gaps': ['what is noticed when a mirror loses a server', () => import('../figures/mirrors/mirror-gaps.ts')],
    devices: ['the devices of a client beside nbdkit', () => import('../figures/devices.ts')],
    'snapshot-holds': ['how long writes wait for a snapshot', () => import('../figures/snapshot-holds.ts')],
    'backup-bytes': ['what an incremental backup reads and writes', () => import('../figures/backup-bytes.ts')],
    'move-latency': ['what an application notices of moves', () => import('../figures/move-latency.ts')],
    lab: ['the netlab: faults and throughput of several links', () => import('../figures/netlab/lab.ts')],
    'web-load': ['how fast the pages of rsweb load in Chromium', () => import('../web/load.ts')],
    'web-screens': ['screenshots of the pages of rsweb, into docs/screens', () => import('../web/screens.ts')],
  },
};

const [family = '', ...words] = process.argv.slice(2);
const found = FAMILIES[family];
if (found === undefined) throw new Error(`No family ${family}: ${Object.keys(FAMILIES).join(', ')}`);
// Something that a cut play has started may still run.
process.exit(await runFamily(family, found, words));
