// Converts the manual from markdown to roff. Also makes the parts of the markdown that come from tables of the program: the keys of the
// configuration files, and the commands. docs.mjs handles files. A page uses headings, paragraphs, indented code and lists; a list item
// whose first line ends in a colon becomes a tagged paragraph. Invariant: a page of docs/man has a marker where a part belongs, and nothing
// generated.

import { marked } from 'marked';
import markedMan from 'marked-man';

const MARKER = /^<!-- made: (\S+) -->$/;
const MANUAL = 'RSIO Manual';
const LINE_CHARS = 150;
const HEADING_MAX_CHARS = 160;

marked.use(markedMan, {
  breaks: false,
  renderer: {
    list: (body) => `${body}`,
    listitem: (text) => {
      const [first, ...rest] = text.replace(/^\s*\.P\s/, '').split('\n');
      if (first.endsWith(':')) return ['.TP', first.slice(0, -1), ...rest, ''].join('\n');
      return ['.IP \\(bu 2', first, ...rest, ''].join('\n');
    },
  },
});

/** Roff of a page. `version` is the project's. The date is omitted, so that the same text always gives the same page. */
export function roffOf(markdown, version) {
  const [, name, section] = /^# (\S+)\((\d)\)$/m.exec(markdown);
  const lines = marked.parse(markdown).split('\n');
  lines[0] = `.TH "${name.toUpperCase()}" "${section}" "" "RSIO ${version}" "${MANUAL}"`;
  return `${withoutBlankLines(lines).join('\n')}\n`;
}

/** Removes blank lines outside code, because roff prints them as vertical space. */
function withoutBlankLines(lines) {
  let isCode = false;
  return lines.filter((line) => {
    if (line === '.nf') isCode = true;
    if (line === '.fi') isCode = false;
    return isCode || line.trim() !== '';
  });
}

/**
 * The parts of the manual, by name. `load`: returns a promise of a module of a package, from the sources or from the build.
 */
export async function manualParts(load) {
  const { SCHEMA } = await load('common', 'config/schema/schema');
  const rsconfig = await load('rsconfig', 'command-table');
  const rsadm = await load('rsadm', 'command-table');
  const { NAMESPACE_SECTIONS } = await load('common', 'config/schema/namespace-sections');
  const { WEB_SCHEMA } = await load('rsweb', 'config/schema');
  return {
    rssrvcfg: keysPart(SCHEMA.rssrvcfg),
    rscltcfg: keysPart(SCHEMA.rscltcfg),
    rswebcfg: keysPart(WEB_SCHEMA),
    namespace: keysPart(NAMESPACE_SECTIONS),
    rsconfig: commandsPart('rsconfig', rsconfig.COMMANDS),
    rsadm: commandsPart('rsadm', rsadm.COMMANDS),
    'rsconfig-options': commonOptionsPart(rsconfig.COMMANDS),
    'rsadm-options': commonOptionsPart(rsadm.COMMANDS),
  };
}

/** Returns the page with a part for each marker. `parts` maps the name of a part to its markdown. Throws for an unknown name. */
export function withParts(markdown, parts) {
  const lines = markdown.split('\n').map((line) => {
    const name = MARKER.exec(line)?.[1];
    if (name === undefined) return line;
    if (parts[name] === undefined) throw new Error(`No part ${name}: give one of ${Object.keys(parts).join(', ')}`);
    return parts[name].trim();
  });
  return lines.join('\n');
}

/** Returns the sections and keys of a configuration file. `schema`: maps the type of a section to its entry, as in schema.ts. */
export function keysPart(schema) {
  const sections = Object.entries(schema).map(([type, section]) => {
    const keys = Object.entries(section.keys).map(([key, entry]) => item(`\`${key}\``, keySentences(entry)));
    return [headingOf(type, section), ...(keys.length > 0 ? [keys.join('\n')] : [])].join('\n\n');
  });
  return sections.join('\n\n');
}

const OCCURS = { once: 'Occurs exactly once', 'at most once': 'Occurs at most once', 'any number': 'May be repeated' };

function headingOf(type, { hasName, occurs, below, lines, help }) {
  const place = below === null ? '' : `, below a [${below}] section`;
  const form = lines === null ? '' : ` Each line: ${lines}.`;
  return `### [${hasName ? `${type} NAME` : type}]\n\n${wrapped(`${OCCURS[occurs]}${place}. ${escaped(help)}.${form}`)}`;
}

function keySentences({ type, isRequired, default: preset, help }) {
  const otherwise = isRequired ? ' Required.' : preset === null ? '' : ` Default: \`${preset}\`.`;
  return `${escaped(help)}.${otherwise} Allowed: ${escaped(type.allowed)}.`;
}

/** An option that at least this many commands have with the same meaning is described only once. */
const COMMON_MIN = 4;

/** Commands of a program, in the order of its table. */
export function commandsPart(program, commands) {
  const common = commonOptions(commands);
  return commands.map((command) => commandEntry(program, command, common)).join('\n\n');
}

/** Describes the options that many commands share, each option once. */
export function commonOptionsPart(commands) {
  return [...commonOptions(commands).values()].map(optionItem).join('\n');
}

/** Maps the text of each option that many commands share to the option's entry, sorted by name. */
function commonOptions(commands) {
  const all = commands.flatMap(({ options }) => Object.entries(options));
  const counts = new Map();
  for (const entry of all) counts.set(JSON.stringify(entry), (counts.get(JSON.stringify(entry)) ?? 0) + 1);
  const common = all.filter((entry) => counts.get(JSON.stringify(entry)) >= COMMON_MIN);
  return new Map(common.sort(([a], [b]) => (a < b ? -1 : 1)).map((entry) => [JSON.stringify(entry), entry]));
}

function commandEntry(program, { call, synopsis, summary, details, options }, common) {
  const mode = call.by === 'option' ? [optionItem([call.option, { short: call.short, help: call.help }])] : [];
  const isCommon = (entry) => common.has(JSON.stringify(entry));
  const own = Object.entries(options).filter((entry) => !isCommon(entry));
  const items = [...mode, ...own.map(optionItem)].join('\n');
  const others = Object.entries(options)
    .filter(isCommon)
    .map((entry) => optionTerm(entry));
  const paragraphs = [commandHeading(`${program} ${synopsis.replaceAll(/\s+/g, ' ')}`), sentence(summary)];
  for (const part of details?.split('\n\n') ?? []) paragraphs.push(wrapped(escaped(part).trim().replaceAll(/\s+/g, ' ')));
  if (items !== '') paragraphs.push(items);
  if (others.length > 0) paragraphs.push(wrapped(`${items === '' ? 'Common options' : 'Also'}: ${others.join(', ')}.`));
  return paragraphs.join('\n\n');
}

/**
 * Returns the heading of a command. A heading that would be too long omits the optional parts, because the list of options below the
 * heading has them.
 */
function commandHeading(usage) {
  const heading = (text) => `### \`${text}\``;
  return heading(usage).length <= HEADING_MAX_CHARS ? heading(usage) : heading(`${usage.split(' [')[0]} [OPTION...]`);
}

function optionItem([name, spec]) {
  return item(`${spec.short === undefined ? '' : `\`-${spec.short}\`, `}${optionTerm([name, spec])}`, sentence(spec.help));
}

function optionTerm([name, { kind, value }]) {
  return `\`--${name}\`${value === undefined ? '' : kind === 'wait' ? `[=*${value}*]` : ` *${value}*`}`;
}

function item(term, sentences) {
  return `* ${term}:\n  ${wrapped(sentences).replaceAll('\n', '\n  ')}`;
}

function sentence(words) {
  const text = escaped(words).trim().replaceAll(/\s+/g, ' ');
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${text.endsWith('.') ? '' : '.'}`;
}

function wrapped(text) {
  return text.replaceAll(new RegExp(`(.{1,${LINE_CHARS}})(?: |$)`, 'g'), '$1\n').trimEnd();
}

/** Escapes text from a table, which is not markdown. */
function escaped(text) {
  return text.replaceAll(/[\\`*_<>]/g, '\\$&');
}
