export type ReferrerType = "direct" | "search" | "social" | "mail" | "ad" | "internal" | "other"

/**
 * Domains by type. A domain includes its subdomains, unless a more specific domain is listed. Names such as
 * `com.whatsapp` are package names of Android apps, which browsers send as `android-app://` referrers. `other` lists
 * subdomains whose type differs from that of their domain. AI assistants are also `other`, because they are not search
 * engines and `referrer_domain` identifies them.
 */
const domains: Readonly<Record<"search" | "social" | "mail" | "other", readonly string[]>> = {
  search: [
    ...[
      "360.cn",
      "alohafind.com",
      "aol.com",
      "ask.com",
      "baidu.com",
      "bing.com",
      "brave.com",
      "coccoc.com",
      "daum.net",
    ],
    ...[
      "dogpile.com",
      "duckduckgo.com",
      "ecosia.org",
      "eniro.se",
      "excite.com",
      "fireball.com",
      "gibiru.com",
      "givero.com",
    ],
    ...[
      "go.mail.ru",
      "goo.ne.jp",
      "haosou.com",
      "info.com",
      "kagi.com",
      "lilo.org",
      "lycos.com",
      "marginalia.nu",
    ],
    ...[
      "metager.de",
      "metager.org",
      "mojeek.com",
      "naver.com",
      "nova.rambler.ru",
      "onet.pl",
      "oscobo.com",
      "petalsearch.com",
    ],
    ...["presearch.com", "qwant.com", "rambler.ru", "search.ch", "seznam.cz", "sm.cn", "so.com", "sogou.com"],
    ...[
      "startpage.com",
      "startsiden.no",
      "stract.com",
      "swisscows.com",
      "virgilio.it",
      "webcrawler.com",
      "yahoo.co.jp",
    ],
    ...["yahoo.com", "ya.ru", "yep.com", "zapmeta.com", "zum.com"],
    ...["com.google.android.googlequicksearchbox", "com.google.android.gms", "com.microsoft.bing"],
  ],
  social: [
    ...[
      "bereal.com",
      "bsky.app",
      "behance.net",
      "cyworld.com",
      "dev.to",
      "discord.com",
      "discord.gg",
      "disqus.com",
    ],
    ...[
      "douban.com",
      "douyin.com",
      "dribbble.com",
      "facebook.com",
      "fb.com",
      "fb.me",
      "flickr.com",
      "gab.com",
    ],
    ...[
      "instagram.com",
      "kakao.com",
      "kuaishou.com",
      "lemmy.world",
      "line.me",
      "linkedin.com",
      "linktr.ee",
      "lnkd.in",
    ],
    ...[
      "mastodon.online",
      "mastodon.social",
      "medium.com",
      "messenger.com",
      "mixi.jp",
      "myspace.com",
      "news.ycombinator.com",
    ],
    ...[
      "nextdoor.com",
      "odnoklassniki.ru",
      "ok.ru",
      "patreon.com",
      "pin.it",
      "pinterest.com",
      "plurk.com",
      "producthunt.com",
    ],
    ...[
      "quora.com",
      "redd.it",
      "reddit.com",
      "renren.com",
      "slashdot.org",
      "snapchat.com",
      "stocktwits.com",
      "substack.com",
    ],
    ...[
      "t.co",
      "t.me",
      "telegram.me",
      "telegram.org",
      "threads.com",
      "threads.net",
      "tiktok.com",
      "truthsocial.com",
    ],
    ...[
      "tumblr.com",
      "twitch.tv",
      "twitter.com",
      "vimeo.com",
      "vk.com",
      "vk.ru",
      "vkontakte.ru",
      "wa.me",
      "web.skype.com",
    ],
    ...[
      "weibo.cn",
      "weibo.com",
      "whatsapp.com",
      "wechat.com",
      "weixin.qq.com",
      "x.com",
      "xiaohongshu.com",
      "xing.com",
    ],
    ...["youtu.be", "youtube.com", "zhihu.com", "lobste.rs", "hackernews.com", "bilibili.com"],
    ...[
      "com.facebook.katana",
      "com.facebook.orca",
      "com.instagram.android",
      "com.linkedin.android",
      "com.pinterest",
    ],
    ...[
      "com.reddit.frontpage",
      "com.snapchat.android",
      "com.twitter.android",
      "com.whatsapp",
      "com.zhiliaoapp.musically",
    ],
    ...["org.telegram.messenger", "com.discord", "com.google.android.youtube"],
  ],
  mail: [
    ...[
      "fastmail.com",
      "freenet.de",
      "gmx.at",
      "gmx.ch",
      "gmx.com",
      "gmx.de",
      "gmx.net",
      "hey.com",
      "icloud.com",
    ],
    ...[
      "mail.aol.com",
      "mail.com",
      "mail.google.com",
      "mail.naver.com",
      "mail.proton.me",
      "mail.protonmail.com",
      "mail.qq.com",
    ],
    ...[
      "mail.163.com",
      "mail.126.com",
      "mail.ru",
      "mail.rambler.ru",
      "mail.yahoo.co.jp",
      "mail.yahoo.com",
      "mail.zoho.com",
    ],
    ...[
      "mail.zoho.eu",
      "email.seznam.cz",
      "hotmail.com",
      "live.com",
      "mail.tutanota.com",
      "app.tuta.com",
      "outlook.com",
    ],
    ...[
      "mailbox.org",
      "navigator-bs.gmx.net",
      "office.com",
      "office365.com",
      "outlook.office.com",
      "posteo.de",
      "proton.me",
    ],
    ...[
      "superhuman.com",
      "web.de",
      "webmail.free.fr",
      "mail.yandex.ru",
      "mail.yandex.com",
      "poczta.onet.pl",
      "poczta.wp.pl",
    ],
    ...[
      "com.google.android.gm",
      "com.microsoft.office.outlook",
      "com.yahoo.mobile.client.android.mail",
      "ch.protonmail.android",
    ],
  ],
  other: [
    ...[
      "finance.yahoo.com",
      "news.yahoo.com",
      "sports.yahoo.com",
      "news.yahoo.co.jp",
      "shopping.yahoo.co.jp",
      "blog.naver.com",
    ],
    ...[
      "cafe.naver.com",
      "news.naver.com",
      "cafe.daum.net",
      "news.daum.net",
      "tieba.baidu.com",
      "baike.baidu.com",
    ],
    ...["community.brave.com", "news.mail.ru", "developers.facebook.com", "chat.kagi.com", "teams.live.com"],
  ],
}

const types: ReadonlyMap<string, ReferrerType> = new Map(
  Object.entries(domains).flatMap(([type, list]) =>
    list.map((domain) => [domain, type as keyof typeof domains]),
  ),
)

/**
 * Search engines with domains in many countries. For Google, only the hosts of its search services match:
 * docs.google.com and sites.google.com host other people's pages, and gemini.google.com is an assistant.
 */
const regionalEngines = [
  /^(?:(?:www|images|m|cse|scholar)\.)?google\.(?:com?\.)?[a-z]{2,3}$/,
  /^(?:(?:www|m)\.)?yandex\.(?:com\.)?[a-z]{2,3}$/,
  /^(?:[a-z]{2}\.)?search\.yahoo\.(?:com?\.)?[a-z]{2,3}$/,
]
const regionalSocial = /^(?:[a-z]{2,3}\.)?pinterest\.(?:com?\.)?[a-z]{2,3}$/

/** Returns the type of a host or Android package, which must be in lower case and without www. */
export function typeOfHost(host: string): ReferrerType {
  for (let name = host; name.includes("."); name = name.slice(name.indexOf(".") + 1)) {
    const type = types.get(name)
    if (type) return type
  }
  if (regionalEngines.some((pattern) => pattern.test(host))) return "search"
  return regionalSocial.test(host) ? "social" : "other"
}
