"""Hard texts, for the tests and for the comparison in docs/sentences.md (`python tests/sentence_table.py`).

Taken from what models write on the telephone, and made up to mislead. ‖ stands where a sentence ends.
"""

_MARKED = {
    "prices and numbers": [
        ("vi", "Máy này giá 18.990.000đ.‖ Anh có lấy không ạ?"),
        ("vi", "Tổng là 1.234,50 ₫ nhé.‖ Anh trả tiền mặt ạ?"),
        ("vi", "Ngân sách tầm 1,5 triệu.‖ Em tìm mẫu khác nhé."),
        ("vi", "Em gửi mã 482913.‖ Mã có hạn 5 phút thôi."),
        ("vi", "Bản 2.10.3 vừa ra mắt.‖ Anh cập nhật giúp em."),
        ("en", "You owe us $2.50.‖ Shall I charge the card?"),
        ("en", "It weighs approx. 1.5 kg.‖ That is not much."),
        ("en", "I would give it 9.5/10.‖ Not bad at all!"),
        ("en", "The deal was worth $1.5M.‖ Nobody believed it."),
    ],
    "dates and times": [
        ("vi", "Giờ làm việc là 8h00 - 17h30.‖ Chủ nhật nghỉ ạ."),
        ("vi", "Giao vào thứ 2, 24/11.‖ Anh có nhà không?"),
        ("vi", "Hạn cuối là 24.11.2026.‖ Anh nhớ nhé."),
        ("en", "We open at 9 a.m. on Mondays.‖ Come early."),
        ("en", "We close at 5 p.m. Monday through Friday.‖ Is that fine?"),
        ("en", "The call is at 3 p.m. EST.‖ Please be there."),
        ("en", "It came on Jan. 5 at noon.‖ Nobody was there."),
        ("en", "He was born on Dec. 24, 1999.‖ She came later."),
    ],
    "addresses and places": [
        ("vi", "Kho ở 12 Lê Lợi, P. 5, Q. 1, TP. HCM.‖ Hàng đi ngay ạ."),
        ("vi", "Anh ở Q.1, TP.HCM.‖ Em giao chiều nay nhé."),
        ("vi", "Tiệm ở 12/3 Đ. 3/2, Q. 10.‖ Anh biết chỗ đó không?"),
        ("vi", "Giao về Q. Tân Bình giúp em.‖ Em cảm ơn ạ."),
        ("en", "Meet me at 5th Ave. and Main St. tomorrow.‖ It is easy."),
        ("en", "My address is 221B Baker St., London.‖ Come by anytime."),
        ("en", "I live in Washington D.C.‖ It's nice over here."),
        ("en", "She moved to the U.S. last year.‖ We miss her."),
    ],
    "names and titles": [
        ("vi", "Anh tên Nguyễn Văn A. phải không ạ?‖ Em kiểm tra nhé."),
        ("vi", "Bác sĩ Trần T. Hùng khám lúc chín giờ.‖ Anh nhớ đến ạ."),
        ("vi", "Mời PGS. TS. Lê Minh phát biểu ạ.‖ Xin cảm ơn."),
        ("en", "J.R.R. Tolkien wrote that book.‖ I read it twice."),
        ("en", "Mr. and Mrs. Smith ordered it.‖ They paid in cash."),
        ("en", "Dr. No is an old film.‖ You would like it."),
        ("en", "She works at Acme Inc.‖ The office is close."),
        ("en", "I spoke to Sgt. Miller about it.‖ He agreed."),
    ],
    "links, mail, ids": [
        ("vi", "Mời anh vào www.shop.vn.‖ Trang đó có đủ mẫu."),
        ("vi", "Gửi về hotro@shop.com.vn nhé.‖ Em trả lời ngay."),
        ("vi", "Đơn của anh là DH123456.‖ Đúng không ạ?"),
        ("vi", "Anh gọi số 0912.345.678.‖ Bên em trực cả đêm."),
        ("en", "Please open https://a.example/t?id=5.2&x=1.‖ Then sign in."),
        ("en", "Write to help.desk@example.com.‖ We answer fast."),
        ("en", "Call me at 555.123.4567.‖ Thanks a lot!"),
        ("en", "It is built with Node.js and .NET today.‖ Good choice."),
    ],
    "quotes, brackets, ellipses": [
        ("vi", "Anh nói “Tôi đồng ý.” là được ạ.‖ Em chờ máy."),
        ("vi", "Dạ... dạ... em đang nghe ạ.‖ Anh nói tiếp đi."),
        ("vi", "Để em xem đã…‖ Em thấy đơn rồi ạ."),
        ("en", 'He said "Stop!" and ran away.‖ I stayed there.'),
        ("en", "Wait... what did you say?‖ I did not get it."),
        ("en", "(You will see it below.)‖ Then we go on."),
        ("en", "You are leaving now?!‖ That is a pity."),
        ("en", 'The screen is 15.6".‖ The other is 14".'),
    ],
    "lists": [
        ("vi", "Anh làm như sau:‖\n1. Mở ứng dụng lên.‖\n2. Bấm nút màu đỏ."),
        ("vi", "Có 2 cách: 1) gọi tổng đài; 2) vào web.‖ Anh chọn cách nào?"),
        ("en", "Do the following:‖\na. Open the app first.‖\nb. Press the red button."),
        ("en", "See Fig. 3 and No. 5 there.‖ It explains all."),
    ],
    "slips of the model": [
        ("vi", "Em chào anh ạ.‖Em có thể giúp gì không?"),
        ("vi", "Anh có nhà lúc năm giờ không?‖Em giao lúc đó ạ."),
        ("en", "Your order has shipped.‖It will arrive tomorrow."),
        ("en", "ok that is done now.‖ anything else i can do?"),
    ],
    "Chinese, Japanese, Korean": [
        ("zh", "价格是3.5元一斤。‖您还需要别的吗？"),
        ("zh", "他说：“我明天再来。”‖然后他就走了。"),
        ("ja", "彼は昨日「明日は必ず行きます。」と言いました。‖それで終わりです。"),
        ("ja", "ご注文は発送済みです！‖明日届きます。"),
        ("ko", "안녕하세요 고객님 반갑습니다.‖ 무엇을 도와드릴까요?"),
    ],
}

Case = tuple[str, str, list[str]]  # language, text, sentences

HARD: dict[str, list[Case]] = {
    kind: [
        (language, marked.replace("‖", ""), [sentence.strip() for sentence in marked.split("‖")])
        for language, marked in cases
    ]
    for kind, cases in _MARKED.items()
}
