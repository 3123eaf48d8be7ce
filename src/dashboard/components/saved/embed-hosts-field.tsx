interface EmbedHostsFieldProps {
  /** One host per line. */
  value: string
  onInput: (value: string) => void
}

/** A field for the origins whose pages can embed a share link. */
export function EmbedHostsField({ value, onInput }: EmbedHostsFieldProps) {
  return (
    <label class="field">
      Websites that can embed the link (one per line)
      <textarea
        rows={2}
        spellcheck={false}
        placeholder="https://intranet.example.com"
        value={value}
        onInput={(event) => onInput(event.currentTarget.value)}
      />
      <small>
        HTTPS only. Use <code>https://*.example.com</code> for subdomains. Leave empty to forbid embedding.
      </small>
    </label>
  )
}

export function hostsOf(text: string): string[] {
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "")
}
