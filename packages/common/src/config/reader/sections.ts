// Checks the type, name, number and position of a file's sections against the schema. SectionReader reads the contents. An unknown section
// is reported once, and its lines are ignored.

import { isName, NAME_ALLOWED, quoteText } from '@rsio/base/lib/units';
import type { Findings } from './findings.ts';
import type { HeaderFault, IniDocument, IniSection } from './ini-document.ts';
import { isLikely, nearestWord } from '../schema/nearest.ts';
import type { FileSchema, SectionEntry } from '../schema/entries.ts';
import { sectionForm } from '../schema/schema.ts';
import { headerOf } from './section-reader.ts';

const FAULTS: Readonly<Record<HeaderFault, string>> = {
  unclosed: 'has no "]"',
  trailing: 'is followed by other text (a comment needs a line of its own)',
  empty: 'is empty',
};

/** Checks all section headers and returns the usable sections in the order of the document. */
export function knownSections(document: IniDocument, schema: FileSchema, findings: Findings): readonly IniSection[] {
  const stray = document.preamble[0];
  if (stray !== undefined) findings.problem(stray.line, `Text above the first section: allowed are comments, then ${formsOf(schema)}`);
  const firstLines = new Map<string, number>();
  const known = document.sections.filter((section) => isUsable(section, schema, firstLines, findings));
  for (const [type, entry] of Object.entries(schema)) {
    if (entry.occurs === 'once' && !firstLines.has(type))
      findings.problem(0, `No section ${sectionForm(type, entry)}: add it, there must be one`);
  }
  return known;
}

function isUsable(section: IniSection, schema: FileSchema, firstLines: Map<string, number>, findings: Findings): boolean {
  if (section.fault !== null) {
    findings.problem(section.line, `Section header ${headerOf(section)} ${FAULTS[section.fault]}: allowed are ${formsOf(schema)}`);
  }
  if (section.type === '') return false;
  const entry = Object.hasOwn(schema, section.type) ? schema[section.type] : undefined;
  if (entry === undefined) {
    const meant = nearestWord(section.type, Object.keys(schema)) ?? '';
    const hint = isLikely(section.type, meant) ? `did you mean [${meant}]? Allowed are` : 'allowed are';
    findings.problem(section.line, `Unknown section ${headerOf(section)}: ${hint} ${formsOf(schema)}`);
    return false;
  }
  checkName(section, entry, findings);
  const first = firstLines.get(section.type);
  if (first === undefined) firstLines.set(section.type, section.line);
  if (first !== undefined && entry.occurs !== 'any number') {
    findings.problem(
      section.line,
      `Second section ${headerOf(section)} (first in line ${first}): allowed is one ${sectionForm(section.type, entry)}`,
    );
    return false;
  }
  if (entry.below !== null && !firstLines.has(entry.below)) {
    findings.problem(section.line, `Section ${headerOf(section)} belongs to no ${entry.below}: put it below its [${entry.below} NAME]`);
  }
  return true;
}

function checkName(section: IniSection, entry: SectionEntry, findings: Findings): void {
  const form = sectionForm(section.type, entry);
  if (!entry.hasName && section.name !== null) {
    findings.problem(section.line, `Section ${headerOf(section)} has a name: allowed is ${form}`);
  }
  if (!entry.hasName || (section.name !== null && isName(section.name))) return;
  const wrong =
    section.name === null ? `Section ${headerOf(section)} has no name` : `Wrong name ${quoteText(section.name)} in ${headerOf(section)}`;
  findings.problem(section.line, `${wrong}: allowed is ${form}, NAME being ${NAME_ALLOWED}`);
}

function formsOf(schema: FileSchema): string {
  return Object.entries(schema)
    .map(([type, entry]) => sectionForm(type, entry))
    .join(', ');
}
