//! The names of invented users, and what they talk about, by language.

/// A message and its answer.
pub(super) type Talk = (&'static str, &'static str);

/// A language: the names of its users, and their talks.
pub(super) struct Language {
    pub names: &'static [&'static str],
    pub talks: &'static [Talk],
}

/// All languages. Most users speak the first one. Its first user is the one who gets the auth token
/// that the demo prints.
pub(super) static LANGUAGES: [Language; 8] = [
    Language { names: &ENGLISH_NAMES, talks: &ENGLISH },
    Language {
        names: &["анна.кузнецова", "Дмитрий.Орлов", "олена.шевченко", "иван.петков"],
        talks: &[
            (
                "Как правильно хранить свежий базилик?",
                "Поставьте стебли в стакан с водой при комнатной температуре и накройте листья пакетом. В холодильнике базилик быстро чернеет.",
            ),
            (
                "Составь короткое поздравление с юбилеем коллеге.",
                "Дорогая Ольга Сергеевна, спасибо за годы терпения, точности и доброго юмора. Желаем здоровья, новых идей и свободных выходных!",
            ),
            ("Сколько секунд в сутках?", "86 400 секунд."),
        ],
    },
    Language {
        names: &["ελένη.παππά", "γιώργος.δήμου", "νίκος.αλεξίου", "Σοφία"],
        talks: &[
            (
                "Ποια είναι η διαφορά ανάμεσα σε φέτα και ανθότυρο;",
                "Η φέτα ωριμάζει σε άλμη και είναι αλμυρή. Το ανθότυρο γίνεται από τυρόγαλα, είναι μαλακό και σχεδόν χωρίς αλάτι.",
            ),
            (
                "Γράψε μια ευγενική υπενθύμιση για ένα τιμολόγιο.",
                "Καλημέρα σας, σας υπενθυμίζουμε φιλικά το τιμολόγιο του Οκτωβρίου. Αν το έχετε ήδη εξοφλήσει, αγνοήστε αυτό το μήνυμα.",
            ),
        ],
    },
    Language {
        names: &["李雷", "王芳", "陈静怡", "张伟明"],
        talks: &[
            ("用一句话解释什么是光合作用。", "植物利用阳光，把水和二氧化碳变成糖分，同时放出氧气。"),
            (
                "帮我把这句话改得更礼貌：你的报告太晚了。",
                "您的报告比原定时间稍晚了一些，下次如能提前告知，我们会更方便安排。",
            ),
            ("从北京到上海坐高铁要多久？", "最快约四小时二十分，大多数车次在四个半到六小时之间。"),
        ],
    },
    Language {
        names: &["佐藤花子", "田中.健", "すずき", "山本さくら"],
        talks: &[
            (
                "味噌汁のだしは何分くらい煮ればいいですか。",
                "かつお節なら沸騰直前に入れて一、二分で十分です。長く煮ると苦味が出ます。",
            ),
            (
                "会議の日程変更をお願いするメールを書いて。",
                "お世話になっております。誠に恐れ入りますが、明日の会議を木曜の午後に変更していただくことは可能でしょうか。",
            ),
        ],
    },
    Language {
        names: &["김민준", "이서연", "박지훈", "최수아"],
        talks: &[
            (
                "초보자가 키우기 쉬운 식물을 추천해 줘.",
                "스투키와 스킨답서스를 추천합니다. 빛이 적어도 잘 자라고 물은 보름에 한 번이면 충분합니다.",
            ),
            ("이 문장을 영어로 번역해 줘: 내일 다시 연락드리겠습니다.", "I will get back to you tomorrow."),
        ],
    },
    Language {
        names: &["نور", "محمد.علي", "ليلى", "يوسف.حداد"],
        talks: &[
            (
                "كم كوبا من الماء أحتاج لطهي كوب من الأرز؟",
                "للأرز الأبيض كوب ونصف إلى كوبين من الماء، وللأرز البني كوبان ونصف تقريبا.",
            ),
            (
                "اكتب رسالة شكر قصيرة لمعلمة ابنتي.",
                "نشكرك من القلب على صبرك واهتمامك بابنتنا طوال العام. لقد أصبحت تحب القراءة بفضلك.",
            ),
        ],
    },
    Language {
        names: &["נועה", "דוד.כהן", "שירה", "איתן.לוי"],
        talks: &[
            (
                "מה ההבדל בין ממוצע לחציון?",
                "הממוצע הוא סכום הערכים חלקי מספרם. החציון הוא הערך האמצעי אחרי מיון, ולכן ערכים קיצוניים משפיעים עליו פחות.",
            ),
            (
                "תן לי רעיון לארוחת ערב מהירה.",
                "שקשוקה: בצל, פלפל ועגבניות במחבת, ארבע ביצים מעל, ועשר דקות עם מכסה.",
            ),
        ],
    },
];

const ENGLISH_NAMES: [&str; 72] = [
    "ada.lovelace",
    "liam.becker",
    "sofia.marino",
    "noah.fischer",
    "chloe.bernard",
    "mateo.garcia",
    "ingrid.dahl",
    "oliver.grant",
    "fatima.zahra",
    "lukas.weber",
    "amelia.stone",
    "pedro.almeida",
    "hanna.lehto",
    "samuel.mensah",
    "julie.moreau",
    "erik.solberg",
    "valentina.rossi",
    "daniel.kim",
    "katarina.horvat",
    "thomas.wright",
    "amina.diallo",
    "felix.braun",
    "irene.vidal",
    "george.hall",
    "magda.nowak",
    "ravi.patel",
    "charlotte.dubois",
    "anders.berg",
    "bianca.ferrari",
    "kwame.asante",
    "louise.petit",
    "martin.svoboda",
    "olivia.reed",
    "pablo.ortega",
    "signe.madsen",
    "timo.heikkinen",
    "ursula.koch",
    "vikram.rao",
    "wendy.chang",
    "xavier.roche",
    "yasmin.saleh",
    "zdenek.kral",
    "alice.morgan",
    "bruno.teixeira",
    "carla.mendes",
    "dylan.foster",
    "esther.levi",
    "frank.schulz",
    "giulia.conti",
    "helena.lima",
    "isaac.newell",
    "jana.kovac",
    "kevin.doyle",
    "laura.jimenez",
    "miriam.katz",
    "nils.haugen",
    "oscar.lind",
    "petra.vogel",
    "quentin.faure",
    "rosa.delgado",
    "stefan.ilic",
    "tara.singh",
    "ulrich.maier",
    "vera.sokolova",
    "will.hughes",
    "ximena.rojas",
    "yann.leclerc",
    "weather-bot",
    "newsletter",
    "study-group_7",
    "team+support@shop.example",
    "zara.ahmed",
];

const ENGLISH: [Talk; 24] = [
    (
        "How long do I boil an egg so that the yolk stays soft?",
        "Six minutes from the moment the water boils again, then straight into cold water.",
    ),
    (
        "Write a friendly reminder that the invoice is due on Friday.",
        "Hi Sam, just a short reminder that our invoice is due this Friday. If it is on its way already, ignore this message. Thank you!",
    ),
    (
        "What is the difference between a queue and a stack?",
        "A queue returns what came first, a stack what came last. Think of people at a counter, and of a pile of plates.",
    ),
    (
        "Translate into French: the meeting starts at half past nine.",
        "La réunion commence à neuf heures et demie.",
    ),
    (
        "Explain photosynthesis to a ten year old.",
        "Plants make their own food. Their leaves catch sunlight, take in air and water, and turn them into sugar. What is left over is the oxygen that we breathe.",
    ),
    (
        "My program says 'borrow of moved value'. What does it mean?",
        "You gave the value to something else and used it again afterwards. Lend it with &, or clone it if both need their own.",
    ),
    ("Suggest three names for a small bakery by the sea.", "Salt and Crumb, The Tide Oven, Gull and Grain."),
    (
        "Summarise: the tenant shall give notice in writing three months before moving out.",
        "You must say in writing that you are moving out, three months before you do.",
    ),
    ("How many litres are in a US gallon?", "About 3.785 litres."),
    (
        "Plan a weekend in Lisbon with two children.",
        "Saturday: tram 28 early, the castle, then the aquarium. Sunday: the train to Cascais, the beach, and an ice cream before the way back.",
    ),
    (
        "Is it safe to freeze cooked rice?",
        "Yes, if it was cooled within an hour. Freeze it flat, keep it for up to three months, and heat it until it steams all through.",
    ),
    (
        "Give me a regular expression for a date like 2026-11-24.",
        "^\\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\\d|3[01])$",
    ),
    (
        "Why is the sky dark at night if there are stars everywhere?",
        "Because the universe has not existed forever: the light of most stars has not had time to reach us, and its expansion stretches what does arrive.",
    ),
    (
        "Draft a polite refusal for a wedding invitation.",
        "Dear Mia and Tom, thank you so much for thinking of us. We cannot be there that day, but we will raise a glass to you both.",
    ),
    (
        "What should I ask at the end of a job interview?",
        "Ask what the first three months look like, how decisions are made, and what success would look like after a year.",
    ),
    ("Convert 37.5 °C to Fahrenheit.", "99.5 °F"),
    (
        "Explain compound interest with an example.",
        "100 at 5 % a year are 105 after one year and 110.25 after two, because the second year's interest is paid on the 105.",
    ),
    ("Write a haiku about unread mail.", "Morning, the inbox\nsnow upon the windowsill\nnobody sweeps it"),
    (
        "Which houseplants survive in a dark room?",
        "A snake plant, a ZZ plant and an aspidistra put up with almost anything. Water them seldom.",
    ),
    (
        "Check my sentence: Neither of them were ready.",
        "\"Neither of them was ready.\" Neither is singular, though many people say it your way.",
    ),
    (
        "Write SQL that finds customers without an order.",
        "SELECT c.* FROM customers c\nWHERE NOT EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = c.id);",
    ),
    (
        "How do I get a red wine stain out of a tablecloth?",
        "Blot it, do not rub. Pour sparkling water over it, cover it with salt, and wash it cold with a little stain remover.",
    ),
    (
        "Turn these notes into a status update: search fixed, tests green, release on Monday.",
        "The search works again and all tests pass. We release on Monday.",
    ),
    (
        "What is a good warm-up before a 10 km run?",
        "Ten minutes of easy jogging, then leg swings, lunges and three short strides. Leave long stretches for afterwards.",
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::LANGUAGES;
    use crate::domain::{Message, Username};

    #[test]
    fn every_name_may_register_and_none_looks_like_another() {
        let mut seen = HashSet::new();
        for name in LANGUAGES.iter().flat_map(|language| language.names) {
            let username = Username::parse(name).unwrap_or_else(|invalid| panic!("{name}: {invalid}"));
            assert_eq!(username.as_str(), *name);
            assert!(seen.insert(username.skeleton()), "{name} looks like another name");
        }
        assert!(seen.len() > 90, "only {} names", seen.len());
    }

    #[test]
    fn every_message_may_be_sent_and_has_an_answer() {
        for (message, answer) in LANGUAGES.iter().flat_map(|language| language.talks) {
            assert!(Message::parse((*message).to_owned()).is_ok() && !answer.is_empty(), "{message}");
        }
    }
}
