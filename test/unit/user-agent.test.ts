import { describe, expect, test } from "bun:test"
import { DeviceParser } from "../../src/ingest/user-agent.ts"

// User agents composed of a part for each system and a part for each browser, as sent by browsers of 2024 to 2026.

/** Browser name, version, operating system and device type, separated by a slash. */
type Expected = string
type Case = [what: string, userAgent: string, expected: Expected, hints?: Record<string, string>]

const webkit = "AppleWebKit/537.36 (KHTML, like Gecko)"
const chromiumDesktop: [tail: string, browser: string][] = [
  ["Chrome/131.0.0.0 Safari/537.36", "Chrome/131"],
  ["Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0", "Edge/142"],
  ["Chrome/130.0.0.0 Safari/537.36 OPR/115.0.0.0", "Opera/115"],
  ["Chrome/138.0.0.0 Safari/537.36 Vivaldi/7.5.3735.54", "Vivaldi/7"],
  ["Chrome/140.0.0.0 YaBrowser/25.10.0.0 Safari/537.36", "Yandex/25"],
  ["Chrome/138.0.0.0 Whale/4.33.325.17 Safari/537.36", "Whale/4"],
  ["HeadlessChrome/131.0.0.0 Safari/537.36", "Chrome/131"],
]
const desktops: [system: string, os: string][] = [
  ["Windows NT 10.0; Win64; x64", "Windows"],
  ["Macintosh; Intel Mac OS X 10_15_7", "macOS"],
  ["X11; Linux x86_64", "Linux"],
  ["X11; CrOS x86_64 14541.0.0", "Chrome OS"],
]
const chromiumAndroid: [tail: string, browser: string][] = [
  ["Chrome/131.0.0.0 [M]Safari/537.36", "Chrome/131"],
  ["Chrome/142.0.0.0 [M]Safari/537.36 EdgA/142.0.0.0", "Edge/142"],
  ["Chrome/135.0.0.0 [M]Safari/537.36 OPR/90.0.0.0", "Opera/90"],
  ["SamsungBrowser/28.0 Chrome/130.0.0.0 [M]Safari/537.36", "Samsung Internet/28"],
  ["Chrome/138.0.0.0 [M]Safari/537.36 Vivaldi/7.5.3735.76", "Vivaldi/7"],
  ["Chrome/130.0.0.0 YaBrowser/24.12.1.86.00 SA/3 [M]Safari/537.36", "Yandex/24"],
  ["Version/4.0 Chrome/109.0.5414.118 [M]Safari/537.36 XiaoMi/MiuiBrowser/14.12.0-gn", "MIUI Browser/14"],
  ["Version/4.0 Chrome/100.0.4896.58 UCBrowser/13.4.0.1306 [M]Safari/537.36", "UC Browser/13"],
  ["Version/4.0 Chrome/131.0 [M]DuckDuckGo/5 Safari/537.36", "DuckDuckGo/5"],
  ["Chrome/114.0.5735.196 HuaweiBrowser/15.0.4.312 [M]Safari/537.36", "Huawei Browser/15"],
]
const androids: [system: string, isPhone: boolean][] = [
  ["Linux; Android 10; K", true],
  ["Linux; Android 14; SM-S928B", true],
  ["Linux; Android 10; K", false],
  ["Linux; Android 13; SM-X710", false],
]
const iosTails: [tail: string, browser: string][] = [
  ["Version/18.1 Mobile/15E148 Safari/604.1", "Safari/18.1"],
  ["CriOS/131.0.6778.73 Mobile/15E148 Safari/604.1", "Chrome/131"],
  ["FxiOS/133.0 Mobile/15E148 Safari/605.1.15", "Firefox/133"],
  ["Version/18.0 EdgiOS/131.0.2903.68 Mobile/15E148 Safari/604.1", "Edge/131"],
  ["Version/18.1 Mobile/15E148 Safari/604.1 OPT/5.2.0", "Opera Touch/5"],
  ["Version/18.1 Mobile/15E148 DuckDuckGo/7 Safari/605.1.15", "DuckDuckGo/7"],
  ["GSA/345.0.701 Mobile/15E148 Safari/604.1", "Google app/345"],
  ["Version/17.0 YaBrowser/24.10.0.450.10 SA/3 Mobile/15E148 Safari/604.1", "Yandex/24"],
  ["Mobile/15E148", "Safari WebView/605"],
]
const iosDevices: [system: string, type: string][] = [
  ["iPhone; CPU iPhone OS 18_1 like Mac OS X", "mobile"],
  ["iPad; CPU OS 17_7 like Mac OS X", "tablet"],
]
const firefoxes: [system: string, os: string, type: string][] = [
  ["Windows NT 10.0; Win64; x64; rv:133.0", "Windows", "desktop"],
  ["Windows NT 6.1; rv:133.0", "Windows", "desktop"],
  ["Macintosh; Intel Mac OS X 10.15; rv:133.0", "macOS", "desktop"],
  ["X11; Linux x86_64; rv:133.0", "Linux", "desktop"],
  ["X11; Ubuntu; Linux x86_64; rv:133.0", "Linux", "desktop"],
  ["X11; Fedora; Linux x86_64; rv:133.0", "Linux", "desktop"],
  ["X11; FreeBSD amd64; rv:133.0", "FreeBSD", "desktop"],
  ["Android 14; Mobile; rv:133.0", "Android", "mobile"],
  ["Android 14; Tablet; rv:133.0", "Android", "tablet"],
]
const iphone =
  "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
const webview = `Mozilla/5.0 (Linux; Android 14; SM-S911B Build/UP1A.231005.007; wv) ${webkit} Version/4.0 Chrome/131.0.6778.81 Mobile Safari/537.36`
const windowsChrome = `Mozilla/5.0 (Windows NT 10.0; Win64; x64) ${webkit} Chrome/131.0.0.0 Safari/537.36`
const androidChrome = `Mozilla/5.0 (Linux; Android 10; K) ${webkit} Chrome/131.0.0.0 Mobile Safari/537.36`

const apps: Case[] = [
  [
    "Instagram on iOS",
    `${iphone} Mobile/22B83 Instagram 358.0.0.35.95 (iPhone15,2; iOS 18_1; de_DE; de; scale=3.00; 1179x2556; 667022245; IABMV/1)`,
    "Instagram/358/iOS/mobile",
  ],
  [
    "Instagram on Android",
    `${webview} Instagram 358.0.0.51.106 Android (34/14; 480dpi; 1080x2115; samsung; SM-S911B; dm1q; qcom; de_DE; 666961234)`,
    "Instagram/358/Android/mobile",
  ],
  [
    "Facebook on iOS",
    `${iphone} Mobile/22B83 [FBAN/FBIOS;FBAV/490.0.0.52.106;FBBV/666337034;FBDV/iPhone15,2;FBMD/iPhone;FBSN/iOS;FBSV/18.1;FBSS/3;FBCR/;FBID/phone;FBLC/de_DE;FBOP/80]`,
    "Facebook/490/iOS/mobile",
  ],
  [
    "Facebook on Android",
    `${webview} [FB_IAB/FB4A;FBAV/490.0.0.63.82;IABMV/1;]`,
    "Facebook/490/Android/mobile",
  ],
  ["Line on Android", `${webview} Line/14.19.1/IAB`, "Line/14/Android/mobile"],
  ["Line on iOS", `${iphone} Mobile/15E148 Safari Line/14.19.2`, "Line/14/iOS/mobile"],
  [
    "WeChat on iOS",
    `${iphone} Mobile/15E148 MicroMessenger/8.0.54(0x1800362f) NetType/WIFI Language/zh_CN`,
    "WeChat/8/iOS/mobile",
  ],
  ["LinkedIn on iOS", `${iphone} Mobile/15E148 [LinkedInApp]/9.30.1`, "LinkedIn//iOS/mobile"],
  [
    "TikTok on Android",
    `${webview} musical_ly_2023700010 JsSdk/1.0 NetType/WIFI`,
    "TikTok/2023/Android/mobile",
  ],
  [
    "Snapchat on iOS",
    `${iphone} Mobile/22B83 Snapchat/13.20.0.40 (like Safari/8619.2.8.10.7, panda)`,
    "Snapchat/13/iOS/mobile",
  ],
  ["KakaoTalk on Android", `${webview} KAKAOTALK/11.0.5`, "KakaoTalk/11/Android/mobile"],
  [
    "Naver on iOS",
    `${iphone} Mobile/15E148 NAVER(inapp; search; 2000; 12.9.1; 15PROMAX)`,
    "Naver/12/iOS/mobile",
  ],
  ["an app's web view on Android", webview, "Chrome WebView/131/Android/mobile"],
  [
    "a web view on a Kindle Fire",
    `Mozilla/5.0 (Linux; Android 9; KFMAWI) ${webkit} Silk/108.4.6 like Chrome/108.0.5359.220 Safari/537.36`,
    "Silk/108/Android/tablet",
  ],
  [
    "an Electron app",
    `Mozilla/5.0 (X11; Linux x86_64) ${webkit} MyApp/1.0 Chrome/130.0.6723.137 Electron/33.2.1 Safari/537.36`,
    "Electron/33/Linux/desktop",
  ],
]

const otherDevices: Case[] = [
  [
    "a Samsung television",
    `Mozilla/5.0 (SMART-TV; LINUX; Tizen 7.0) ${webkit} 94.0.4606.31/7.0 TV Safari/537.36`,
    "Safari//Tizen/",
  ],
  [
    "an LG television",
    `Mozilla/5.0 (Web0S; Linux/SmartTV) ${webkit} Chrome/94.0.4606.128 Safari/537.36 WebAppManager`,
    "Chrome/94/webOS/",
  ],
  [
    "an Android television",
    `Mozilla/5.0 (Linux; Android 11; BRAVIA 4K VH2) ${webkit} Chrome/131.0.0.0 Safari/537.36`,
    "Chrome/131/Android/",
  ],
  [
    "a Fire TV",
    `Mozilla/5.0 (Linux; Android 9; AFTSSS) ${webkit} Silk/108.4.6 like Chrome/108.0.5359.220 Safari/537.36`,
    "Silk/108/Android/",
  ],
  [
    "a PlayStation",
    "Mozilla/5.0 (PlayStation; PlayStation 5/6.50) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/16.4 Safari/605.1.15",
    "Safari/16.4/PlayStation/",
  ],
  [
    "an Xbox",
    `Mozilla/5.0 (Windows NT 10.0; Win64; x64; Xbox; Xbox One) ${webkit} Chrome/131.0.0.0 Safari/537.36 Edg/131.0.0.0`,
    "Edge/131/Xbox/",
  ],
  [
    "a headset",
    `Mozilla/5.0 (X11; Linux x86_64; Quest 3) ${webkit} OculusBrowser/35.3.0.13.54 Chrome/126.0.6478.122 VR Safari/537.36`,
    "Oculus Browser/35/Linux/",
  ],
  [
    "a feature phone",
    "Mozilla/5.0 (Mobile; Nokia_2720_Flip; rv:48.0) Gecko/48.0 Firefox/48.0 KAIOS/2.5.2",
    "Firefox/48/KaiOS/mobile",
  ],
  [
    "a HarmonyOS phone",
    `Mozilla/5.0 (Linux; Android 12; HarmonyOS; LIO-AN00) ${webkit} Chrome/114.0.5735.196 HuaweiBrowser/15.0.4.312 Mobile Safari/537.36`,
    "Huawei Browser/15/HarmonyOS/mobile",
  ],
]

const oldOnes: Case[] = [
  [
    "Internet Explorer 11",
    "Mozilla/5.0 (Windows NT 6.1; WOW64; Trident/7.0; rv:11.0) like Gecko",
    "Internet Explorer/11/Windows/desktop",
  ],
  [
    "Internet Explorer 8",
    "Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 6.1; Trident/4.0)",
    "Internet Explorer/8/Windows/desktop",
  ],
  [
    "Edge with its own engine",
    `Mozilla/5.0 (Windows NT 10.0; Win64; x64) ${webkit} Chrome/64.0.3282.140 Safari/537.36 Edge/18.17763`,
    "Edge/18/Windows/desktop",
  ],
  [
    "Opera with its own engine",
    "Opera/9.80 (Windows NT 6.1; WOW64) Presto/2.12.388 Version/12.18",
    "Opera/12/Windows/desktop",
  ],
  [
    "Opera Mini",
    "Opera/9.80 (Android; Opera Mini/36.2.2254/119.132; U; id) Presto/2.12.423 Version/12.16",
    "Opera Mini/36/Android/tablet",
  ],
  [
    "Android 4's browser",
    "Mozilla/5.0 (Linux; U; Android 4.0.3; en-us; GT-I9100 Build/IML74K) AppleWebKit/534.30 (KHTML, like Gecko) Version/4.0 Mobile Safari/534.30",
    "Android Browser/4/Android/mobile",
  ],
  [
    "iOS 9",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 9_3_5 like Mac OS X) AppleWebKit/601.1.46 (KHTML, like Gecko) Version/9.0 Mobile/13G36 Safari/601.1",
    "Safari/9.0/iOS/mobile",
  ],
  [
    "Windows Phone",
    `Mozilla/5.0 (Windows Phone 10.0; Android 6.0.1; Microsoft; Lumia 950) ${webkit} Chrome/52.0.2743.116 Mobile Safari/537.36 Edge/15.15254`,
    "Edge/15/Windows Phone/mobile",
  ],
  [
    "Konqueror",
    "Mozilla/5.0 (X11; Linux) KHTML/5.101.0 (like Gecko) Konqueror/5 KIO/5.101",
    "Konqueror/5/Linux/desktop",
  ],
]

const brands = (...list: [string, string][]) =>
  list.map(([name, version]) => `"${name}";v="${version}"`).join(", ")
const hinted: Case[] = [
  [
    "Chrome with hints",
    windowsChrome,
    "Chrome/131/Windows/desktop",
    {
      "sec-ch-ua": brands(["Google Chrome", "131"], ["Chromium", "131"], ["Not_A Brand", "24"]),
      "sec-ch-ua-platform": '"Windows"',
      "sec-ch-ua-mobile": "?0",
    },
  ],
  [
    "Brave, which calls itself Chrome",
    windowsChrome,
    "Brave/131/Windows/desktop",
    { "sec-ch-ua": brands(["Brave", "131"], ["Chromium", "131"], ["Not_A Brand", "24"]) },
  ],
  [
    "Brave on Android",
    androidChrome,
    "Brave/131/Android/mobile",
    {
      "sec-ch-ua": brands(["Not)A;Brand", "99"], ["Brave", "131"], ["Chromium", "131"]),
      "sec-ch-ua-platform": '"Android"',
      "sec-ch-ua-mobile": "?1",
    },
  ],
  [
    "Vivaldi, which calls itself Chrome",
    windowsChrome,
    "Vivaldi/7/Windows/desktop",
    { "sec-ch-ua": brands(["Chromium", "130"], ["Vivaldi", "7.0"]) },
  ],
  [
    "full versions before brands",
    windowsChrome,
    "Opera/116/Windows/desktop",
    {
      "sec-ch-ua-full-version-list": brands(["Chromium", "131.0.6778.86"], ["Opera", "116.0.5366.21"]),
      "sec-ch-ua": brands(["Chromium", "131"], ["Opera", "115"]),
    },
  ],
  [
    "Chromium without another brand",
    windowsChrome,
    "Chromium/131/Windows/desktop",
    { "sec-ch-ua": brands(["Chromium", "131"], ["Not_A Brand", "24"]) },
  ],
  [
    "an app's name before hints",
    `${webview} Line/14.19.1/IAB`,
    "Line/14/Android/mobile",
    { "sec-ch-ua": brands(["Android WebView", "131"], ["Chromium", "131"]) },
  ],
  [
    "a platform hint",
    `Mozilla/5.0 (X11; Linux x86_64) ${webkit} Chrome/131.0.0.0 Safari/537.36`,
    "Chrome/131/Chrome OS/desktop",
    { "sec-ch-ua-platform": '"Chrome OS"' },
  ],
  [
    "a tablet by hint",
    androidChrome,
    "Chrome/131/Android/tablet",
    { "sec-ch-ua-platform": '"Android"', "sec-ch-ua-mobile": "?0" },
  ],
  [
    "unknown hints",
    windowsChrome,
    "Chrome/131/Windows/desktop",
    { "sec-ch-ua": brands(["Evil", "1"]), "sec-ch-ua-platform": '"Plan 10"', "sec-ch-ua-mobile": "yes" },
  ],
  [
    "malformed hints",
    windowsChrome,
    "Chrome/131/Windows/desktop",
    { "sec-ch-ua": '"Brave";v=131, ;;;"', "sec-ch-ua-platform": '"' },
  ],
]

const garbage: Case[] = [
  ["no user agent", "", "///"],
  ["a word", "asdf", "///"],
  ["an HTTP tool", "curl/8.14.1", "///"],
  ["punctuation", "(((;;;///", "///"],
  [
    "a name in odd capitals",
    "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 FiReFoX/133.0",
    "Firefox/133/Linux/desktop",
  ],
  [
    "a version that is not a number",
    `Mozilla/5.0 (X11; Linux x86_64) ${webkit} Chrome/abc Safari/537.36`,
    "Chrome//Linux/desktop",
  ],
  [
    "a version of 30 digits",
    `Mozilla/5.0 (X11; Linux x86_64) ${webkit} Chrome/${"1".repeat(30)} Safari/537.36`,
    "Chrome/1111/Linux/desktop",
  ],
  ["the name after 512 characters", `${"x".repeat(512)}${windowsChrome}`, "///"],
]

const cases: Case[] = [
  ...desktops.flatMap(([system, os]) =>
    chromiumDesktop.map(
      ([tail, browser]): Case => [
        `${browser} on ${os}`,
        `Mozilla/5.0 (${system}) ${webkit} ${tail}`,
        `${browser}/${os}/desktop`,
      ],
    ),
  ),
  ...androids.flatMap(([system, isPhone]) =>
    chromiumAndroid.map(
      ([tail, browser]): Case => [
        `${browser} on ${isPhone ? "a phone" : "a tablet"} (${system})`,
        `Mozilla/5.0 (${system}) ${webkit} ${tail.replace("[M]", isPhone ? "Mobile " : "")}`,
        `${browser}/Android/${isPhone ? "mobile" : "tablet"}`,
      ],
    ),
  ),
  ...iosDevices.flatMap(([system, type]) =>
    iosTails.map(
      ([tail, browser]): Case => [
        `${browser} on ${system}`,
        `Mozilla/5.0 (${system}) AppleWebKit/605.1.15 (KHTML, like Gecko) ${tail}`,
        `${browser}/iOS/${type}`,
      ],
    ),
  ),
  ...firefoxes.map(
    ([system, os, type]): Case => [
      `Firefox on ${system}`,
      `Mozilla/5.0 (${system}) Gecko/20100101 Firefox/133.0`,
      `Firefox/133/${os}/${type}`,
    ],
  ),
  ...["17.6", "18.3", "26.0"].map(
    (version): Case => [
      `Safari ${version} on a Mac`,
      `Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/${version} Safari/605.1.15`,
      `Safari/${version}/macOS/desktop`,
    ],
  ),
  ...apps,
  ...otherDevices,
  ...oldOnes,
  ...hinted,
  ...garbage,
]

const headersOf = (userAgent: string, hints = {}) => new Headers({ "user-agent": userAgent, ...hints })

describe("browser, system and device type are read from", () => {
  const parser = new DeviceParser()
  for (const [what, userAgent, expected, hints] of cases) {
    test(what, () => {
      // The first result comes from the patterns, the second from the cache.
      for (const _ of [1, 2]) {
        expect(Object.values(parser.parse(headersOf(userAgent, hints))).join("/")).toBe(expected)
      }
    })
  }
})

test("hostile user agents and hints take at most a few ms", () => {
  const pieces = [
    ...[" ", "/", ";", "(", "1", ".", "a", "_", "-", "\t", '"', "1.", "(a;", "b ", "1)", "; wv)"],
    ...[
      "android;",
      "Android ",
      "Mozilla/",
      "Version/",
      "linux",
      "Chrome/1 ",
      "mobile ",
      "safari",
      "build/",
      "opera ",
    ],
    ...[
      "mac os x ",
      "iphone ",
      "windows ",
      "[fb",
      "hbbtv/1 (",
      "tablet",
      '"a";v="',
      "webkit ",
      "trident",
      "naver(",
    ],
  ]
  const parser = new DeviceParser()
  const texts = pieces.flatMap((end) =>
    ["", ...pieces, "naver(".repeat(20)].map((start) => (start + end.repeat(512)).slice(0, 512)),
  )
  const slow = texts.filter((text) => {
    const headers = headersOf(text, { "sec-ch-ua": text, "sec-ch-ua-full-version-list": text })
    const durations = Array.from({ length: 4 }, (_, run) => {
      // Changes the cache key, so that each run uses the patterns.
      headers.set("sec-ch-ua-platform", `${run}`)
      const start = performance.now()
      parser.parse(headers)
      return performance.now() - start
    })
    // Uses the fastest run, because others may include pauses of the machine. The library's cubic pattern takes 160 ms.
    return Math.min(...durations) > 20
  })
  expect(slow).toEqual([])
})

test("the size of the cache is limited, and long user agents are not cached", () => {
  const parser = new DeviceParser()
  for (let index = 0; index < 2_500; index++) parser.parse(headersOf(`agent/${index}`))
  expect(parser.size).toBeWithin(1_000, 2_001)
  const fresh = new DeviceParser()
  fresh.parse(headersOf("x".repeat(513)))
  expect(fresh.size).toBe(0)
})
