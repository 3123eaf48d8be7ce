import type { SeededRandom } from "./random.ts"

const firstNames =
  "Ada Alina Amir Anna Anton Arjun Astrid Ben Bruno Carla Chen Clara Dana David Diego Elif Elin Emil Emma Erik Eva Felix Finn Fatima Greta Hana Hugo Ida Igor Ines Ivan Jana Jonas Julia Kai Karim Lara Lea Leon Lena Lina Luca Lucia Maja Malik Marco Maria Marta Mateo Max Mia Mila Nadia Nico Nina Noah Nour Ola Olga Omar Oskar Paula Pavel Petra Rafael Rosa Ruben Sami Sara Selin Simon Sofia Tara Theo Tim Tom Vera Viktor Yara Yusuf Zoe".split(
    " ",
  )
const lastNames =
  "Andersson Bauer Becker Berg Bianchi Brandt Brown Costa Dahl Davies Dubois Ebert Eriksen Evans Fischer Fontana Garcia Graf Haas Hansen Hoffmann Holm Huber Ito Jansen Jensen Kaya Keller Khan Klein Kowalski Kumar Lang Larsen Lehmann Leroy Lopez Maier Marino Martin Meyer Moreau Mueller Nilsson Novak Olsen Patel Pereira Peters Reyes Ricci Richter Roth Rossi Ryan Sato Schmidt Schulz Silva Singh Sousa Steiner Tanaka Taylor Vogel Wagner Walker Weber Wolf Wright Yilmaz Young Zimmermann".split(
    " ",
  )

/** Host names reserved for examples (RFC 2606), so that no mail can be delivered to the invented people. */
const mailHosts = ["mail.example", "inbox.example", "post.example"]
/** A company's name combines one word from each list. */
const companyNames = [
  "Amber Bluebird Bright Cedar Copper Field Halftone Harbor Juniper Kestrel Lantern Magnet North Oak Papaya Quiet River Second Tandem Wildcard".split(
    " ",
  ),
  "Agency Collective Creative Films Games Labs Learning Media Motion Pictures Production Radio Sports Stories Studio Travel".split(
    " ",
  ),
] as const

export interface Person {
  name: string
  email: string
}

/** Invents people with unique email addresses. */
export class PeopleMaker {
  readonly #emails = new Set<string>()

  constructor(private readonly random: SeededRandom) {}

  /** Invents a customer with an address at a mail provider. */
  customer(): Person {
    return this.#person(this.random.pick(mailHosts))
  }

  /** Invents an employee with an address at the company. */
  employee(company: string): Person {
    const host = company.toLowerCase().replace(/[^a-z]+/g, "-")
    return this.#person(`${host}.example`)
  }

  company(): string {
    return companyNames.map((words) => this.random.pick(words)).join(" ")
  }

  #person(host: string): Person {
    const [first, last] = [this.random.pick(firstNames), this.random.pick(lastNames)]
    const local = `${first}.${last}`.toLowerCase()
    let email = `${local}@${host}`
    for (let number = 2; this.#emails.has(email); number++) email = `${local}${number}@${host}`
    this.#emails.add(email)
    return { name: `${first} ${last}`, email }
  }
}
