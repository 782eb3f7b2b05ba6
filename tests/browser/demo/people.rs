//! The users of the demo, and what they ask.

/// The administrators: the first is a superuser, the second is staff.
pub const ADMINISTRATORS: [&str; 2] = ["rosalind", "grace.ito"];

pub const PEOPLE: [&str; 58] = [
    "amelia.hart",
    "noah.bergstrom",
    "priya.raman",
    "lucas.moreau",
    "hannah.weiss",
    "mateo.alvarez",
    "chloe.dubois",
    "samuel.okafor",
    "ingrid.solberg",
    "daniel.kim",
    "fatima.elamin",
    "oliver.grant",
    "sofia.ricci",
    "jonas.lindqvist",
    "maya.cohen",
    "ethan.walsh",
    "yuki.tanaka",
    "zoe.papadakis",
    "leon.schuster",
    "nadia.haddad",
    "tomas.novak",
    "emma.vandijk",
    "arjun.mehta",
    "isla.mackenzie",
    "victor.petrov",
    "camila.souza",
    "finn.oconnor",
    "aisha.bello",
    "hugo.laurent",
    "marta.kowalska",
    "kenji.mori",
    "elena.popescu",
    "jack.hughes",
    "leila.farsi",
    "simon.keller",
    "anna.virtanen",
    "diego.fuentes",
    "ruth.adeyemi",
    "paul.jensen",
    "clara.neumann",
    "omar.nasser",
    "julia.santos",
    "peter.horvath",
    "mei.chen",
    "theo.martin",
    "greta.holm",
    "ivan.dimitrov",
    "nora.byrne",
    "rafael.costa",
    "sara.lund",
    "ben.carter",
    "lina.johansson",
    "marco.conti",
    "eva.muller",
    "adam.novotny",
    "kate.wilson",
    "tariq.aziz",
    "lucy.bennett",
];

/// Messages and their responses.
pub const TALK: [(&str, &str); 20] = [
    (
        "How long do I boil an egg so that the yolk stays soft?",
        "Six minutes from the moment the water boils again, then straight into cold water.",
    ),
    (
        "Write a friendly reminder that the rent is due on Friday.",
        "Hi Sam, just a short reminder that the rent is due this Friday. Tell me if anything is in the way. Thanks!",
    ),
    (
        "What is the difference between a mean and a median?",
        "The mean is the sum divided by the number of values; the median is the value in the middle once they are sorted. A few extreme values move the mean a lot and the median hardly at all.",
    ),
    (
        "Translate into French: the meeting starts at half past nine.",
        "La réunion commence à neuf heures et demie.",
    ),
    (
        "Explain photosynthesis to a ten year old.",
        "Plants eat light. Their leaves catch sunshine, take in air and water, and make sugar from them. What is left over is the oxygen that we breathe.",
    ),
    (
        "My code says 'borrow of moved value'. What does it mean?",
        "You handed the value to something else and then used it again. Borrow it with & where you hand it over, or clone it if both need their own.",
    ),
    ("Suggest three names for a small bakery by the sea.", "Salt and Crumb · The Tide Oven · Gull & Grain"),
    (
        "Summarise this contract in plain words: the tenant shall …",
        "You rent the flat for two years, pay on the first of each month, and give three months' notice. Repairs above 200 euros are the owner's.",
    ),
    ("How many litres are in a US gallon?", "About 3.785 litres."),
    (
        "Plan a weekend in Lisbon with two children.",
        "Saturday: tram 28 early, the castle, then the aquarium. Sunday: the train to Cascais, the beach, and an ice cream at Santini before the way back.",
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
        "Dear Mia and Tom, thank you so much for thinking of us. We cannot be there that day, but we shall raise a glass to you both. With love",
    ),
    (
        "What should I ask in a job interview as a candidate?",
        "Ask what the first three months look like, how decisions are made, why the last person left, and what success would look like after a year.",
    ),
    ("Convert 37.5 °C to Fahrenheit.", "99.5 °F"),
    (
        "Help me to understand compound interest with an example.",
        "100 at 5 % a year: 105 after one year, 110.25 after two, because the second year's interest is paid on the 105. After 14 years it has about doubled.",
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
];

/// Reasons for adjustments, each with its amount.
pub const REASONS: [(i64, &str); 8] = [
    (500, "Apology for the outage on Tuesday"),
    (2_000, "Winner of the November quiz"),
    (10_000, "Invoice 2026-1107 paid"),
    (-300, "Correction: credited twice on 12 November"),
    (250, "Reported a broken link, thank you"),
    (5_000, "Invoice 2026-1119 paid"),
    (1_000, "School project, agreed with Grace"),
    (-1_000, "Test credits taken back"),
];

/// Names of named auth tokens.
pub const TOKEN_NAMES: [&str; 6] =
    ["Homework helper", "Nightly summary", "Slack bot", "Home automation", "Website widget", "Notebook"];
