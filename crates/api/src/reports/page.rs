//! The public pages in words and HTML: small enough for a slow phone, without a script.

use sanimon_domain::{Condition, Handling, ReportCategory, SiteCalendar, TimestampMs};
use sanimon_store::{Alert, Report};

pub(super) const STYLE: &str = include_str!("page.css");

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    English,
    Chinese,
}

impl Language {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh",
        }
    }

    const fn pick(self, en: &'static str, zh: &'static str) -> &'static str {
        match self {
            Self::English => en,
            Self::Chinese => zh,
        }
    }
}

/// What every page needs.
pub(super) struct Shown<'a> {
    pub(super) language: Language,
    pub(super) site: &'a str,
    pub(super) code: &'a str,
}

/// Why the form is shown again.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fault {
    NoCategory,
    Stale,
    TooMany,
    Photo,
}

impl Fault {
    const fn text(self, language: Language) -> &'static str {
        match self {
            Self::NoCategory => language.pick("Please choose what is wrong.", "请选择问题类型。"),
            Self::Stale => language.pick(
                "That was too quick or too late. Please send it again.",
                "提交过快或页面已过期，请再次提交。",
            ),
            Self::TooMany => language.pick(
                "Many reports came from here within an hour. Please try again later.",
                "一小时内反映次数较多，请稍后再试。",
            ),
            Self::Photo => language.pick(
                "This photo cannot be read. Please send a JPEG or PNG, or none.",
                "无法读取照片，请使用 JPEG 或 PNG 格式，或不附照片。",
            ),
        }
    }
}

pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// A category in words: English, Chinese.
const fn words(category: ReportCategory) -> [&'static str; 2] {
    match category {
        ReportCategory::Overflow => ["It overflows", "垃圾满溢"],
        ReportCategory::Smell => ["It smells", "有异味"],
        ReportCategory::Litter => ["Litter around it", "周边有垃圾"],
        ReportCategory::Blocked => ["Blocked or flooded", "堵塞或积水"],
        ReportCategory::Supplies => ["No paper or soap", "缺少厕纸或洗手液"],
        ReportCategory::Damaged => ["Damaged", "设施损坏"],
        ReportCategory::Other => ["Something else", "其他问题"],
    }
}

/// The title of the case that a report opens.
pub(super) fn titles(category: ReportCategory) -> [String; 2] {
    let [en, zh] = words(category);
    [format!("Resident: {}", en.to_lowercase()), format!("居民反映：{zh}")]
}

fn name(language: Language, names: &[String; 2]) -> &str {
    match language {
        Language::English => &names[0],
        Language::Chinese => &names[1],
    }
}

fn frame(shown: &Shown<'_>, path: &str, title: &str, body: &str) -> String {
    let other = match shown.language {
        Language::English => ("zh", "中文"),
        Language::Chinese => ("en", "English"),
    };
    format!(
        "<!doctype html><html lang=\"{lang}\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><meta name=\"robots\" content=\"noindex\">\
         <title>{title}</title><link rel=\"stylesheet\" href=\"/r/page.css\"></head><body><main>\
         <header><span>{site}</span><a href=\"{path}?lang={other_lang}\" lang=\"{other_lang}\">{other_name}</a></header>{body}</main></body></html>",
        lang = shown.language.as_str(),
        title = escape(title),
        site = escape(shown.site),
        other_lang = other.0,
        other_name = other.1,
    )
}

pub(super) fn form(
    shown: &Shown<'_>,
    names: &[String; 2],
    categories: &[ReportCategory],
    stamp: &str,
    fault: Option<Fault>,
) -> String {
    let language = shown.language;
    let choices: String = categories
        .iter()
        .map(|category| {
            let [en, zh] = words(*category);
            let text = language.pick(en, zh);
            format!(
                "<label class=\"choice\"><input type=\"radio\" name=\"category\" value=\"{category}\" required><span>{text}</span></label>"
            )
        })
        .collect();
    let fault = fault.map_or_else(String::new, |fault| {
        format!("<p class=\"fault\" role=\"alert\">{}</p>", fault.text(language))
    });
    let title = language.pick("What is wrong here?", "这里有什么问题？");
    let body = format!(
        "<h1>{title}</h1><p class=\"place\">{place}</p>\
         <form method=\"post\" enctype=\"multipart/form-data\">{fault}\
         <fieldset><legend>{what}</legend>{choices}</fieldset>\
         <label>{more}<textarea name=\"text\" rows=\"3\" maxlength=\"500\"></textarea></label>\
         <label>{photo}<input type=\"file\" name=\"photo\" accept=\"image/jpeg,image/png\"></label>\
         <div class=\"trap\" aria-hidden=\"true\"><label>Website<input name=\"website\" tabindex=\"-1\" autocomplete=\"off\"></label></div>\
         <input type=\"hidden\" name=\"stamp\" value=\"{stamp}\"><input type=\"hidden\" name=\"lang\" value=\"{lang}\">\
         <button>{send}</button><p class=\"hint\">{privacy}</p></form>",
        place = escape(name(language, names)),
        what = language.pick("Choose one", "请选择"),
        more = language.pick("More, if you like", "补充说明（可选）"),
        photo = language.pick("A photo, if you like", "照片（可选）"),
        stamp = escape(stamp),
        lang = language.as_str(),
        send = language.pick("Send", "提交"),
        privacy = language.pick(
            "No account and no name is needed. What you write and show is deleted after some time; a photo is kept without \
             where and when it was taken.",
            "无需注册或留名。文字和照片会在一定时间后删除，照片不保留拍摄地点和时间。"
        ),
    );
    frame(shown, &format!("/r/{}", escape(shown.code)), title, &body)
}

pub(super) fn state(
    shown: &Shown<'_>,
    names: &[String; 2],
    report: &Report,
    alert: &Alert,
    calendar: SiteCalendar,
) -> String {
    let language = shown.language;
    let is_closed = alert.closed_at.is_some()
        || (alert.condition == Condition::Cleared && alert.handling == Handling::New);
    let closed_at = alert.closed_at.or(alert.cleared_at).filter(|_| is_closed);
    let is_dismissed = alert.handling == Handling::Dismissed;
    let way = [
        (language.pick("Received", "已收到"), Some(report.at)),
        (language.pick("Accepted", "已受理"), alert.acknowledged_at),
        (language.pick("Somebody is there", "已到场"), alert.arrived_at.or(alert.handled_at)),
        (
            if is_dismissed {
                language.pick("Closed without work", "已关闭（未处置）")
            } else {
                language.pick("Done", "已办结")
            },
            closed_at,
        ),
    ];
    let steps: String = way.into_iter().map(|(text, at)| way_step(text, at, calendar)).collect();
    let [en, zh] = words(report.category);
    let title = language.pick("Thank you. We are on it.", "感谢反映，我们会尽快处理。");
    let title =
        if is_closed { language.pick("This report is closed.", "您的反映已办结。") } else { title };
    let path = format!("/r/{}/{}", escape(shown.code), escape(&report.token));
    let rating = match (is_closed && alert.closed_at.is_some(), report.satisfaction) {
        (_, Some(stars)) => format!(
            "<p class=\"hint\">{} {}</p>",
            language.pick("You said:", "您的评价："),
            "★".repeat(usize::from(stars))
        ),
        (true, None) => rating_form(language, &path),
        (false, None) => {
            format!(
                "<p class=\"hint\">{}</p>",
                language.pick("Keep this page to see what becomes of it.", "请保存本页链接，随时查看进展。")
            )
        }
    };
    let body = format!(
        "<h1>{title}</h1><p class=\"place\">{place} · {category}</p><div class=\"card\"><ol class=\"way\">{steps}</ol>{rating}</div>",
        place = escape(name(language, names)),
        category = language.pick(en, zh),
    );
    frame(shown, &path, title, &body)
}

fn way_step(text: &str, at: Option<TimestampMs>, calendar: SiteCalendar) -> String {
    match at {
        Some(at) => format!(
            "<li class=\"done\"><span>{text}</span><time datetime=\"{at}\">{}</time></li>",
            calendar.text_of(at)
        ),
        None => format!("<li><span>{text}</span></li>"),
    }
}

fn rating_form(language: Language, path: &str) -> String {
    let stars: String = (1..=5)
        .map(|n| format!("<button name=\"satisfaction\" value=\"{n}\" aria-label=\"{n} / 5\">{n} ★</button>"))
        .collect();
    format!(
        "<form method=\"post\" action=\"{path}/rate\"><input type=\"hidden\" name=\"lang\" value=\"{lang}\">\
         <label>{ask}</label><div class=\"stars\">{stars}</div></form>",
        lang = language.as_str(),
        ask = language.pick("How satisfied are you?", "您对处理结果满意吗？"),
    )
}

pub(super) fn no_such_place() -> String {
    let shown = Shown { language: Language::Chinese, site: "sanimon", code: "" };
    let body = "<h1>没有这个页面</h1><p class=\"place\">请重新扫描标牌上的二维码。<br>There is no such page. Please scan the sign again.</p>";
    frame(&shown, "", "404", body)
}

pub(super) fn sorry(names: &[String; 2]) -> String {
    let shown = Shown { language: Language::Chinese, site: "sanimon", code: "" };
    let body = format!(
        "<h1>提交未成功</h1><p class=\"place\">{}<br>请稍后再试，照片不超过 10 MB。<br>That did not work. Please try again; a photo has at most 10 MB.</p>",
        escape(&names[1])
    );
    frame(&shown, "", "sanimon", &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_wrote_is_never_markup() {
        assert_eq!(escape("<b a=\"x\">'&"), "&lt;b a=&quot;x&quot;&gt;&#39;&amp;");
        let shown = Shown { language: Language::English, site: "<i>", code: "A" };
        let html = form(
            &shown,
            &["<script>".into(), String::new()],
            &[ReportCategory::Smell],
            "1.a",
            Some(Fault::TooMany),
        );
        assert!(!html.contains("<script>") && !html.contains("<i>"), "{html}");
    }
}
