export const minuteMs = 60_000
export const hourMs = 3_600_000
export const dayMs = 86_400_000

/**
 * Number of days of data. They cover the 30 days that the dashboard shows by default, the 30 days before them for
 * comparison, and a few more.
 */
export const days = 63
/**
 * Number of days that are simulated before the first stored day, so that this day already has returning visitors. The
 * events of the simulated days before it are not stored.
 */
export const warmUpDays = 60

/** What happens on the demo's websites. `day`: days before the current UTC day. */
export const stories = {
  /** The app's prices change, and people buy Team instead of Starter. The range "last 30 days" starts here. */
  pricing: { day: 29, hour: 0 },
  /** The shop has a sale, and a newsletter and paid posts bring visitors. */
  campaign: { day: 25, days: 7 },
  /** The shop is down. */
  outage: { day: 10, hour: 8.7, hours: 6.5 },
  /** Release 2.8 of the app makes interactions slower and causes more errors. */
  release: { day: 14, hour: 9.5 },
  /**
   * Chunked uploads are turned on for everyone, which breaks uploads in Safari. The range "last 7 days" starts here.
   */
  rollout: { day: 6, hour: 0 },
  /** Start of the visit of `failedPerson` that ends in an error. */
  person: { day: 1, hour: 13 },
} as const

/** The days of the data and the times of its stories. All depend on the current UTC day. */
export class Timeline {
  /** Midnight of the current UTC day, in Unix ms. */
  readonly today: number

  /** `now`: the end of the data, in Unix ms. */
  constructor(readonly now: number) {
    this.today = Math.floor(now / dayMs) * dayMs
  }

  /** Start of the stored data, in Unix ms. */
  get start(): number {
    return this.today - (days - 1) * dayMs
  }

  /** Returns the time of a story, in Unix ms. */
  at({ day, hour = 0 }: { day: number; hour?: number }): number {
    return this.today - day * dayMs + hour * hourMs
  }

  /** Returns the date of a story, such as 2026-11-24. */
  dateOf(story: { day: number }): string {
    return new Date(this.at(story)).toISOString().slice(0, 10)
  }

  /** Returns the growth of the traffic since the start of the data as a factor. It is below 1 during the warm-up. */
  growth(time: number): number {
    return 1 + (0.35 * (time - this.start)) / (days * dayMs)
  }

  isCampaign(time: number): boolean {
    const { campaign } = stories
    const start = this.at(campaign)
    return time >= start && time < start + campaign.days * dayMs
  }

  isOutage(time: number): boolean {
    const start = this.at(stories.outage)
    return time >= start && time < start + stories.outage.hours * hourMs
  }

  /** Returns the app's version at a time. */
  release(time: number): "v2.7" | "v2.8" {
    return time >= this.at(stories.release) ? "v2.8" : "v2.7"
  }
}

/** Relative traffic per hour, in the visitor's time zone, and per weekday. */
export interface Rhythm {
  hours: readonly number[]
  /** Sunday first. */
  weekdays: readonly number[]
}

/** People shop mostly in the evening and on Sundays. */
export const leisure: Rhythm = {
  hours: [3, 2, 1, 1, 1, 1, 2, 4, 6, 7, 8, 8, 9, 9, 8, 8, 8, 9, 10, 12, 14, 14, 11, 6],
  weekdays: [1.12, 1.02, 0.97, 0.95, 0.97, 0.9, 0.86],
}

/** People work from Monday to Friday. */
export const work: Rhythm = {
  hours: [1, 1, 1, 1, 1, 1, 2, 5, 10, 14, 15, 14, 10, 13, 15, 14, 12, 9, 5, 3, 3, 2, 2, 1],
  weekdays: [0.16, 1.02, 1.08, 1.07, 1.02, 0.86, 0.2],
}

/** Returns the relative traffic on a UTC day. */
export function weekdayFactor({ weekdays }: Rhythm, day: number): number {
  return weekdays[new Date(day).getUTCDay()] ?? 1
}
