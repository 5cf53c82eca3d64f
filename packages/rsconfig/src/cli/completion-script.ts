// Generates the bash completion script of rsconfig from the command table. The script requires bash 4 or newer. Invariant: only words made
// of safe characters are passed to compgen, because compgen executes any $(...) in the words that it receives.

import { type Command, type CommandCall, type OptionSpec, shownCall } from './command.ts';

const FRAME_OPTIONS = ['--root', '--help', '--version'];
/** Shell filter that keeps only names whose characters are permitted in configured names or volume names. */
const SAFE_WORDS = `grep -x '[A-Za-z0-9_.@/-]*'`;

export function bashCompletion(commands: readonly Command[]): string {
  const options = Object.entries(Object.assign({}, ...commands.map((command) => command.options)) as Record<string, OptionSpec>);
  const texts = options.filter(([, { kind }]) => kind === 'text' || kind === 'list');
  const files = texts.filter(([, { value }]) => value === 'F');
  const others = texts.filter(([, { value }]) => value !== 'F');
  return `# Completion of rsconfig for bash: source <(rsconfig completion bash)
_rsconfig() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} command='' words='' options='' next='' files='' index
  local config=\${RSIO_ROOT:-}/etc/rscltcfg
  local -a ask=("\${COMP_WORDS[0]}")
  for ((index = 1; index < COMP_CWORD; index++)); do
    case \${COMP_WORDS[index]} in
      --root) ask=("\${COMP_WORDS[0]}" --root "\${COMP_WORDS[index+1]}"); config=\${COMP_WORDS[index+1]}/etc/rscltcfg; ((index++)) ;;
      -m|--monitor) command="-m \${COMP_WORDS[index+1]}"; ((index++)) ;;
${modeCases(commands)}
      ${namesOf(texts).join('|')}) ((index++)) ;;
      -*) ;;
      *) words+="\${words:+ }\${COMP_WORDS[index]}" ;;
    esac
  done
  case $prev in
    -m|--monitor) mapfile -t COMPREPLY < <(compgen -W '${monitorWords(commands).join(' ')}' -- "$cur"); return ;;
    --root) mapfile -t COMPREPLY < <(compgen -d -- "$cur"); return ;;
    ${namesOf(files).join('|')}) mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
    ${namesOf(others).join('|')}) COMPREPLY=(); return ;;
  esac
  case "\${command:-$words}" in
${commands.map(commandCase).join('\n')}
    '') options='${firstOptions(commands).join(' ')}' ;;
  esac
  if [[ -z $command && $cur != -* ]]; then
    case "$words" in
${nextCases(commands)}
    esac
  fi
  if [[ $cur == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$options ${FRAME_OPTIONS.join(' ')}" -- "$cur")
  elif [[ -n $files ]]; then
    mapfile -t COMPREPLY < <(compgen -f -- "$cur")
  elif [[ -n $next ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$next" -- "$cur")
  fi
}
complete -F _rsconfig rsconfig
`;
}

/** The completion script treats `-q`, `-qvv` and `--query` as the same command. */
function modeCases(commands: readonly Command[]): string {
  const cases = commands.flatMap(({ call }) =>
    call.by === 'option' ? [`      -${call.short}*|--${call.option}) command=-${call.short} ;;`] : [],
  );
  return cases.join('\n');
}

function monitorWords(commands: readonly Command[]): string[] {
  return commands.flatMap(({ call }) => (call.by === 'monitor' ? [call.word] : []));
}

function commandCase({ call, options, completes }: Command): string {
  const own = optionNames(options).join(' ');
  return `    ${pattern(call)}) options='${own}'${namesFrom(completes)} ;;`;
}

function namesFrom(completes: string | undefined): string {
  if (completes === undefined) return '';
  return completes === 'files' ? ' files=yes' : `; next=$({ ${completes}; } 2>/dev/null | ${SAFE_WORDS})`;
}

/** Returns a shell pattern for the command's name; operands may follow a name that consists of words. */
function pattern(call: CommandCall): string {
  return call.by === 'words' ? `'${call.words}'|'${call.words} '*` : `'${shownCall(call)}'`;
}

function optionNames(options: Command['options']): string[] {
  return Object.entries(options).flatMap(([name, { short }]) => [`--${name}`, ...(short === undefined ? [] : [`-${short}`])]);
}

function namesOf(options: readonly (readonly [string, OptionSpec])[]): string[] {
  return options.map(([name]) => `--${name}`);
}

/** Returns the options that may come first on the command line: those that call a command, and those of the default command, -l. */
function firstOptions(commands: readonly Command[]): string[] {
  const calls = commands.flatMap(({ call }) => (call.by === 'option' ? [`-${call.short}`, `--${call.option}`] : []));
  return [...calls, '-m', '--monitor', ...optionNames(commands.find(({ call }) => shownCall(call) === '-l')?.options ?? {})];
}

/** Returns shell `case` branches that list the words after a given word, such as `add`, `list` and `remove` after `interface`. */
function nextCases(commands: readonly Command[]): string {
  const next = new Map<string, Set<string>>();
  for (const { call } of commands) {
    const words = call.by === 'words' ? call.words.split(' ') : [];
    words.forEach((word, index) => {
      const before = words.slice(0, index).join(' ');
      next.set(before, (next.get(before) ?? new Set()).add(word));
    });
  }
  return [...next].map(([before, words]) => `      '${before}') next='${[...words].sort().join(' ')}' ;;`).join('\n');
}
