"""The data of the demo: its users, and what they write; see seed_demo."""

# ruff: noqa: RUF001 (several languages, several alphabets)

# username, first name, last name, role, phone number
PEOPLE = """
admin  Ada        Okafor      admin  +1 202 555 0100
alice  Alice      Andersson   host   +46 70 174 06 05
bob    Bob        Martin      guest  +1 202 555 0102
carol  Carol      Brown       host   +44 20 7946 0103
dan    Dan        Cohen       guest  -
erin   Erin       O'Neill     guest  +353 1 555 0105
frank  François   Lefèvre     host   +33 1 99 00 01 06
grace  Grace      Kim         admin  -
heidi  Heidi      Müller      guest  +49 30 23125 107
ivan   Иван       Петров      guest  -
judy   Judy       陳          guest  +886 2 5550 0109
mona   Mona       الحسن       host   -
"""

# A conversation: its title and participants, the owner first, then its messages.
# "--" and a time come before the messages sent from then on, a minute or three apart.
# An indented line continues the one before. "=>" separates the first text from the
# edited one; nothing after it means that the message was deleted.
DIALOGUES = """
== Lake cabin, 12 to 15 June: alice bob erin
-- 16 days ago, 18:20
bob: Hi Alice! Is the cabin by the lake still free for the second weekend of June?
alice: Hello Bob, it is 🙂 Friday the 12th to Monday the 15th, three nights.
bob: Perfect. There will be two of us, Erin and me, plus a small dog. Is that OK?
alice: Dogs are welcome, just not on the beds please.
erin: He has his own bed, don't worry. His name is Biscuit 🐶
alice: Then Biscuit gets a blanket by the stove.
-- 14 days ago, 08:05
bob: We would arrive around 18:00. => We would arrive around 20:00, the ferry is late.
alice: No problem. The key is in the box next to the door, code 4471. =>
alice: I have sent you the door code by text message instead, safer that way.
erin: Got it, thanks!
-- 6 days ago, 19:32
erin: Two questions before we book the ferry:
    1. Is there a bus from the harbour after 19:00?
    2. Does the kitchen have a proper coffee pot?
alice: 1. The last bus is at 19:40, line 52.
    2. There are two, and I roast my own beans ☕
erin: Say no more. Booked!
-- 48 minutes ago
bob: Here's the ferry, for reference: https://ferry.example/timetable?day=2026-06-12#late
alice: Thanks. If you miss it, call me, I'll pick you up with the boat.
bob: You have a boat?!
alice: A very small one. Bring a jacket.
-- 9 minutes ago
bob: Does it have room for a dog?
erin: He is small, too. Biscuit sends his regards 🐾
== Cleaning and keys: carol alice frank mona
-- 12 days ago, 10:41
carol: Who has the spare key of number 14? The cleaner is standing in the rain.
mona: I do! Ten minutes.
carol: You're a star ⭐
frank: Which reminds me: mine are still at Alice's.
alice: On the hook in the hall, the ones with the red ribbon.
-- 5 days ago, 17:03
carol: Rota for next week:
    Mon  number 14 (4 guests leave)
    Tue  cabin
    Thu  number 9, deep clean
    Fri  number 14 again
mona: I can take Tuesday and Thursday.
frank: Friday for me. Not before 11, I have the plumber.
carol: Wonderful. Sheets are in the van.
alice: The van that has no petrol? 😅
-- 4 days ago, 07:55
carol: The van that HAD no petrol. I filled it up this morning.
frank: Merci Carol !
-- 95 minutes ago
mona: The red ribbon is gone. Which keys are yours, Frank?
frank: Mine have a bottle opener.
mona: Then I have yours 🙂
== Refund for the broken boiler: grace dan carol
-- 19 days ago, 09:12
dan: Good morning. We had no hot water on two of our four nights. Can we talk refund?
grace: Good morning Dan, I'm sorry to hear that. Carol, what happened?
carol: The boiler failed on Saturday and the technician came on Monday at 9.
dan: To be fair, Carol brought us kettles and cake.
carol: It was the least I could do.
grace: Our terms say half of each night without hot water. Two nights is 110.00.
dan: I paid in dollars though.
grace: You get it back in dollars, at the rate of the day you paid.
dan: That works for me. Thank you both.
-- 18 days ago, 11:30
grace: Sent. It takes 3 to 5 working days. Reference RF-20931.
-- 13 days ago, 20:14
dan: Arrived already. Five stars from me, boiler or not.
carol: ❤️
== Sommerurlaub: heidi frank ivan
-- 10 days ago, 13:47
heidi: Hallo François, ist das Zimmer mit Balkon im August noch zu haben?
frank: Bonjour Heidi ! Oui, du 3 au 17. In Deutsch: ja, 3. bis 17. August 🙂
heidi: Großartig! Wir kommen mit dem Zug. Wie weit ist es vom Bahnhof?
frank: Zehn Minuten zu Fuß, aber bergauf. I can fetch the suitcases with the bike.
-- 9 days ago, 09:05
ivan: Добрый день! А можно я присоединюсь на выходные? Мы с Хайди коллеги.
frank: Bien sûr, the sofa is yours.
ivan: Спасибо большое! Привезу чай и варенье.
heidi: Und ich bringe Brot. Ohne Brot reise ich nicht.
frank: Ça tombe bien, la boulangerie est fermée le lundi…
-- 2 days ago, 21:16
heidi: Was kostet das Zimmer insgesamt? => Was kostet das Zimmer pro Nacht?
frank: 62 €, petit-déjeuner compris.
ivan: Отлично 👍
== 旅行計畫 / trip plan: judy mona ivan bob
-- 8 days ago, 12:30
judy: 大家好!我們五月一起去嗎?
bob: My Chinese is limited to food. Are we going in May?
judy: Haha yes! 五月 = May. Mona has a house with room for six.
mona: أهلا وسهلا! The house is free from the 9th. There are lemons in the garden 🍋
-- 7 days ago, 06:58
ivan: I can drive. Four seats + luggage.
judy: 太好了!那我負責買菜。
bob: "負責買菜" – translator says you're buying vegetables? Heroic.
judy: Groceries 😂 but yes, also vegetables.
-- 1 day ago, 19:20
mona: Please note the water heater: switch it on 20 minutes before you shower.
ivan: `sudo heater --on --minutes 20`
bob: Permission denied 🥶
judy: 出發!
== Damage report, number 9: carol erin admin
-- 11 days ago, 15:22
carol: Hi Erin, the window in the bathroom has a crack. Do you know anything about it?
erin: Oh no. It was like that when we came in, I took a photo on the first evening.
carol: Could you send it?
erin: https://photos.example/a/9f3c2/window-left-corner.jpg
-- 10 days ago, 09:31
admin: I can confirm: the photo is from 19:12 on the day of arrival.
carol: That settles it, then it was the storm. Sorry for asking!
erin: It's my fault, I should have told you. =>
erin: No worries, I should have told you right away.
admin: Marked as storm damage, the insurance covers it. Closing this one.
== House rules: alice admin bob carol dan erin frank grace heidi ivan judy mona
-- 20 days ago, 08:00
admin: Welcome, everybody! A few words on how things are done here:
    * Be kind.
    * Agree on prices before you travel.
    * Problems? Write to Grace or to me, any time.
grace: Any time between 8 and 22, please 😴
frank: Bonjour à tous !
mona: مرحبا بالجميع
heidi: Servus!
judy: 哈囉~
ivan: Привет всем
dan: שלום
bob: Hello from a very rainy island.
-- 15 days ago, 16:40
carol: How do I mute this? => How do I mark everything as read?
grace: Open the conversation, or mark it as read from the list.
-- 3 days ago, 22:08
alice: Reminder: quiet hours are from 22:00 to 07:00 <b>everywhere</b>.
bob: Did you just shout in HTML?
alice: It seems nobody listens to HTML here 😇
"""

# The long conversation, for scrolling: drawn from these, the same on every machine.
LOG_TITLE = "Front desk log"
LOG_PEOPLE = "grace alice carol frank mona admin"
LOG_LINES = [
    "Check-in for room {room}: {n} guests, {day}, after {hour}:00.",
    "Room {room} is ready.",
    "Who took the {thing} from room {room}?",
    "Found a {thing} in room {room}. Anyone?",
    "Guests in {room} ask for a late check-out, {hour}:30. Fine with you?",
    "Fine with me.",
    "👍",
    "Taxi for room {room} at {hour}:15, booked and paid.",
    "The {thing} in room {room} is broken, please don't rent it before {day}.",
    "Invoice 2026-{room}{n}: https://billing.example/invoices/2026-{room}{n}",
    "Breakfast on {day}: {n} more than planned.",
    "Done.",
    "Parcel for room {room}, it's behind the desk 📦",
    "Room {room} has moved to {day}.\nThe new confirmation has been sent.",
]
LOG_LENGTH = 200
LOG_TODAY = 7  # of them, before the demo is made, twelve minutes apart
THINGS = ["kettle", "charger", "umbrella", "hair dryer", "left shoe", "phrase book"]
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]

# Who finds something unread, and how many messages where.
READER = "alice"
UNREAD = {
    "Lake cabin, 12 to 15 June": 2,
    "Cleaning and keys": 3,
    LOG_TITLE: 5,
}
