"""What Whisper writes where nobody speaks, and what listeners murmur without wanting the floor.

Data, in lower case without punctuation. The phantoms are endings of the subtitled videos that Whisper
learned from; as a whole utterance they are hardly ever what a caller says.
"""

# Never said to a call centre as a whole turn.
PHANTOMS = frozenset(
    {
        "thanks for watching", "thank you for watching", "thank you so much for watching",
        "thanks for watching and see you next time", "please subscribe", "please like and subscribe",
        "don't forget to like and subscribe", "subscribe to my channel", "see you in the next video",
        "i'll see you in the next video", "see you next time", "subtitles by the amara org community",
        "subtitles by", "transcribed by", "transcription by castingwords", "www", "you you you", "music",
        "applause", "laughter", "silence", "blank audio", "inaudible", "foreign",
        "hãy subscribe cho kênh ghiền mì gõ để không bỏ lỡ những video hấp dẫn",
        "hãy subscribe cho kênh la la school để không bỏ lỡ những video hấp dẫn",
        "hãy đăng ký kênh để không bỏ lỡ những video hấp dẫn",
        "các bạn hãy đăng ký kênh để ủng hộ kênh của mình nhé", "cảm ơn các bạn đã theo dõi",
        "cảm ơn các bạn đã xem video", "cảm ơn các bạn đã xem", "cám ơn các bạn đã theo dõi",
        "cảm ơn đã xem", "hẹn gặp lại các bạn trong những video tiếp theo",
        "xin chào và hẹn gặp lại", "chúc các bạn xem video vui vẻ", "nhớ like và đăng ký kênh",
        "đăng ký kênh", "ghiền mì gõ", "phụ đề được thực hiện bởi cộng đồng amara org",
    }
)  # fmt: skip
# Callers do say these; they count as phantoms where sound or certainty speak against a voice.
DOUBTFUL = frozenset(
    {
        "thank you", "thank you very much", "thanks",
        "bye", "bye bye", "goodbye", "you", "okay", "so", "oh", "the",
        "cảm ơn", "cảm ơn các bạn", "tạm biệt", "xin chào", "xin cảm ơn", "ừ", "à", "ờ", "vâng", "dạ",
    }
)  # fmt: skip
# Parts that give a phantom away inside a longer text.
PHANTOM_PARTS = (
    "amara.org", "amara org", "like and subscribe", "subscribe cho kênh", "đăng ký kênh", "ghiền mì gõ",
    "video hấp dẫn", "video tiếp theo", "thanks for watching", "thank you for watching", "castingwords",
)  # fmt: skip

BACKCHANNELS: dict[str, frozenset[str]] = {
    "en": frozenset(
        {
            "uh", "huh", "uhhuh", "mm", "mhm", "mmhmm", "mmm", "hm", "hmm",
            "ah", "aha", "oh", "yeah", "yep",
            "yes", "okay", "ok", "right", "sure", "i", "see", "really", "good", "great", "alright", "um",
            "er",
        }
    ),
    "vi": frozenset(
        {
            "vâng", "dạ", "ừ", "ừm", "ờ", "à", "ạ", "ồ", "ừa", "rồi", "thế", "vậy", "đúng", "hiểu",
            "được", "ok", "okay",
            "uh", "huh", "mm", "hm", "hmm", "ậm", "ừ hử", "hử", "em", "anh", "chị",
        }
    ),
}  # fmt: skip
