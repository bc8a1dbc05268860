"""Makes one script of a page: its blocks in their order, in one shell, as somebody would follow it."""

from page import Block

SHELLS = ("sh", "console")
# A server in the foreground would be left running in another terminal. The next one takes its place.
PRELUDE = r"""
set -euo pipefail
server=
end_server() {
  [[ -n $server ]] || return 0
  kill "$server"
  wait "$server" || { echo "the server ended with $?"; return 1; }
  server=
}
await_server() {
  for _ in $(seq 150); do
    command bursar probe 2>/dev/null && return
    kill -0 "$server" || break
    sleep 0.1
  done
  echo "it does not get ready"; return 1
}
bursar() {
  case ${1:-} in
    dev | serve)
      end_server
      command bursar "$@" & server=$!
      await_server
      ;;
    *) command bursar "$@" ;;
  esac
}
# With an answer that is an error the page is wrong.
curl() { command curl --fail-with-body --max-time 20 "$@"; }
# What is run elsewhere is not built once more.
cargo() { if [[ $1 == run ]]; then shift 3; bursar "$@"; fi; }
"""
END = r"""
end_server
for job in $(jobs -p); do kill "$job" && wait "$job" || true; done
"""


def script(blocks: list[Block], before: str) -> str:
    """The whole page. What consoles say goes to files called by `output_of`, and how marked blocks end to `code_of`."""
    return "\n".join([PRELUDE, before, *map(step, blocks), END])


def step(block: Block) -> str:
    said = f"echo '== {block.place}'"
    if block.language in SHELLS and block.reason is not None:
        commands = "".join(command for command, _ in block.exchanges()) if block.language == "console" else block.text
        return f"{said}\nset +e\n(\nset -e\nserver=\ntrap end_server EXIT\n{commands})\necho $? >{code_of(block)}\nset -e"
    if block.language == "console":
        return "\n".join([said, *(f"{{\n{c}}} >{output_of(block, n)}" for n, (c, _) in enumerate(block.exchanges()))])
    if block.language == "sh":
        return f"{said}\n{block.text}"
    if block.language == "python":
        return f"{said}\npython - <<'END_OF_BLOCK'\n{block.text}END_OF_BLOCK"
    if block.language == "toml" and block.info:
        return f"{said}\ncat >{block.info} <<'END_OF_BLOCK'\n{block.text}END_OF_BLOCK"
    return ""


def output_of(block: Block, number: int) -> str:
    return f"output-{block.line}-{number}"


def code_of(block: Block) -> str:
    return f"code-{block.line}"
