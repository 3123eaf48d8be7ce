/** The product's logo, as in icon.svg. */
export function Logo() {
  return (
    <svg class="logo" viewBox="0 0 32 32" aria-hidden="true" focusable="false">
      <rect width="32" height="32" rx="8" />
      <path d="M9 23.5v-3M16 23.5v-8M23 23.5v-6" />
      <circle cx="23" cy="9.8" r="2.8" />
    </svg>
  )
}
