// Reads the intent maps of the replicas in sync after this client has become the holder (rules M4, M7). Until all maps are read, every
// region counts as touched and, after an unclean end, as unsettled. Invariant: a region leaves the touched or unsettled regions only if no
// map of a replica in sync contains the region, and this holder has not added the region.

import type { MirrorMapAnswer } from '../../wire/mirror-messages.ts';
import { RegionSet } from '../region-set.ts';
import { type MapPage, MapReader } from './map-reader.ts';
import type { Tenant } from './tenants.ts';

export interface SurveyPage {
  readonly identity: string;
  readonly page: MapPage;
}

export class MapSurvey {
  isComplete = false;
  /** Regions that this holder has changed, and regions that have become unsettled, since the survey began. */
  readonly changed = new RegionSet();
  readonly diverged = new RegionSet();
  private readonly found = new RegionSet();
  private readonly readers = new Map<string, { reader: MapReader; tenure: string }>();
  private readonly touched: RegionSet;
  private readonly unsettled: RegionSet;

  constructor(touched: RegionSet, unsettled: RegionSet, regions: number, isClean: boolean) {
    this.touched = touched;
    this.unsettled = unsettled;
    touched.addFirst(regions);
    if (!isClean) unsettled.addFirst(regions);
  }

  /** `members`: all replicas in sync. Returns the pages to read now. */
  next(members: readonly Tenant[]): SurveyPage[] {
    const pages: SurveyPage[] = [];
    for (const { identity, tenure } of members) {
      let entry = this.readers.get(identity);
      if (entry?.tenure !== tenure) {
        entry = { reader: new MapReader(), tenure };
        this.readers.set(identity, entry);
      }
      const page = entry.reader.next();
      if (page !== null) pages.push({ identity, page });
    }
    return pages;
  }

  /** Adds the regions of a page that was read. `answer`: null if the page could not be read. Returns false if the answer is malformed. */
  pageRead({ identity, page }: SurveyPage, answer: MirrorMapAnswer | null, regions: number): boolean {
    return this.readers.get(identity)?.reader.read(page, answer, regions, this.found) ?? true;
  }

  /** Returns true once, when the maps of all members are read; after that, only READs of unsettled regions must wait. */
  complete(members: readonly Tenant[]): boolean {
    if (this.isComplete || members.length === 0 || !members.every((one) => this.hasMapOf(one))) return false;
    this.isComplete = true;
    this.unsettled.keepOnly([this.found, this.diverged]);
    this.touched.keepOnly([this.found, this.changed, this.unsettled]);
    return true;
  }

  private hasMapOf({ identity, tenure }: Tenant): boolean {
    const entry = this.readers.get(identity);
    return entry !== undefined && entry.tenure === tenure && entry.reader.isComplete;
  }
}
