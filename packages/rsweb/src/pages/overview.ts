// The first page: faults with remedies, totals, the diagram, and tables of all objects. Pure. Invariant: faults come first. The file
// parts/diagram.ts draws the diagram.

import { plural } from '@rsio/base/lib/units';
import { type Tile, tilesPart } from '../markup/facts.ts';
import { numberText, perSecondText, sizeText, speedText, sumOf } from '../markup/figures.ts';
import { findingsPart } from '../parts/findings.ts';
import { framed } from '../markup/frame.ts';
import { type Html, html } from '../markup/html.ts';
import { applicationsTable } from '../parts/applications-table.ts';
import { diagramPart } from '../parts/diagram.ts';
import { clientsTable, mirrorState, mirrorsTable, poolsTable, serversTable } from '../parts/object-tables.ts';
import { loadPlots } from '../parts/plot.ts';
import { gatesTable, replicationsTable, worksTable } from '../parts/works-table.ts';
import type { View } from '../markup/view.ts';
import { filteredVolumes, stateText } from '../parts/volumes-table.ts';
import { shownApplications } from '../model/applications.ts';
import type { Application, Picture } from '../model/picture.ts';

export function overviewPage(picture: Picture, view: View): Html {
  const { servers, clients, volumes, pools, mirrors, machines, findings, works, replications, gates } = picture;
  const applications = shownApplications(picture);
  const heading = machines.find(({ isLocal }) => isLocal)?.name ?? 'RSIO';
  const body = html`${findingsPart(findings, view.nowMs, 'Nothing is wrong.')}
<section aria-labelledby="totals-head"><h2 id="totals-head" class="hidden">Totals</h2>${tilesPart(tilesOf(picture, applications), 'totals')}</section>
${diagramPart(picture)}
${loadPlots('all', view)}
${works.length > 0 && part('works', 'Work in progress', worksTable(works, picture, view))}
${part('servers', 'Servers', html`${serversTable(servers, picture, view)}<p><a href="/impact">What stops if machines are off?</a></p>`)}
${part('pools', 'Pools', poolsTable(pools, view))}
${mirrors.length > 0 && part('mirrors', 'Mirrors', mirrorsTable(mirrors, view))}
${replications.length > 0 && part('replications', 'Replications', replicationsTable(replications, picture, view))}
${part('volumes', 'Volumes', filteredVolumes(volumes, view))}
${part('clients', 'Clients', clientsTable(clients, picture, view))}
${gates.length > 0 && part('gates', 'Gates', gatesTable(gates, view))}
${applications.length > 0 && part('applications', 'Applications', applicationsTable(applications, view))}`;
  return framed({ title: `Overview of ${heading}`, heading: 'Overview', body }, picture, view);
}

function part(id: string, name: string, table: Html): Html {
  return html`<section aria-labelledby="${id}-head"><h2 id="${id}-head">${name}</h2>${table}</section>`;
}

function tilesOf({ servers, clients, paths, volumes, pools, mirrors, snapshots }: Picture, applications: readonly Application[]): Tile[] {
  const loads = volumes.map(({ load }) => load);
  const up = <T>(list: readonly T[], isUp: (element: T) => boolean): number => list.filter(isUp).length;
  const served = up(volumes, (volume) => stateText(volume) !== 'unavailable');
  const waiting = up(volumes, ({ waits }) => waits.length > 0);
  const inSync = up(mirrors, (mirror) => mirrorState(mirror) === 'in sync');
  const wanted = applications.filter(({ state }) => !['stopped', 'disabled', 'new'].includes(state));
  const running = up(wanted, ({ state }) => state === 'running');
  const pathsUp = up(paths, ({ state }) => state === 'up');
  const serversUp = up(servers, ({ state }) => state === 'up');
  return [
    { name: 'Read', value: speedText(sumOf(loads, 'readBytesPerSecond')), detail: perSecondText(sumOf(loads, 'readsPerSecond')) },
    { name: 'Written', value: speedText(sumOf(loads, 'writtenBytesPerSecond')), detail: perSecondText(sumOf(loads, 'writesPerSecond')) },
    { name: 'Servers up', ...ofAll(serversUp, servers.length, 'bad') },
    {
      name: 'Clients connected',
      ...ofAll(
        up(clients, ({ state }) => state === 'connected'),
        clients.length,
      ),
    },
    { name: 'Paths up', ...ofAll(pathsUp, paths.length, 'warn') },
    {
      name: 'Volumes served',
      ...ofAll(served, volumes.length, 'bad'),
      detail: waiting > 0 ? `of ${numberText(volumes.length)}, I/O of ${waiting} waits` : `of ${numberText(volumes.length)}`,
    },
    ...(mirrors.length === 0 ? [] : [{ name: 'Mirrors in sync', ...ofAll(inSync, mirrors.length, 'warn') }]),
    ...(applications.length === 0 ? [] : [{ name: 'Applications running', ...ofAll(running, wanted.length, 'bad') }]),
    { name: 'Snapshots', value: numberText(snapshots), detail: `${sizeText(freeOf(pools))} free in ${plural(pools.length, 'pool')}` },
  ];
}

function ofAll(count: number, all: number, tone?: Tile['tone']): Pick<Tile, 'value' | 'detail' | 'tone'> {
  const tile = { value: numberText(count), detail: `of ${numberText(all)}` };
  return count < all && tone !== undefined ? { ...tile, tone } : tile;
}

function freeOf(pools: Picture['pools']): number {
  return pools.reduce((sum, { freeBytes }) => sum + (freeBytes ?? 0), 0);
}
