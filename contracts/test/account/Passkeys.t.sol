// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {PackedUserOperation} from "@account-abstraction/contracts/interfaces/PackedUserOperation.sol";
import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {P256} from "@openzeppelin/contracts/utils/cryptography/P256.sol";
import {Sessions} from "../../src/account/Sessions.sol";
import {BillSessions} from "../../src/account/BillSessions.sol";
import {OpenVPPAccount} from "../../src/account/OpenVPPAccount.sol";
import {Passkeys} from "../../src/account/Passkeys.sol";
import {BillLane} from "../../src/lane/BillLane.sol";
import {SessionPolicy} from "../../src/account/SessionPolicy.sol";
import {Policies} from "../support/Policies.sol";
import {Phones} from "../support/Phones.sol";
import {World} from "../support/World.sol";

contract SignerOfTest is World {
    uint256 private constant PHONE = 0x9407E;
    bytes32 private constant DIGEST = keccak256("digest");
    Passkeys private passkeys;

    function setUp() public override {
        super.setUp();
        passkeys = implementation.passkeys();
    }

    function test_namesTheKeyOfARawSignature() public view {
        equal(passkeys.signerOf(DIGEST, Phones.sign(PHONE, DIGEST)), Phones.nameOf(PHONE), "name");
    }

    function test_namesTheKeyOfAPasskeysSignature() public view {
        equal(passkeys.signerOf(DIGEST, Phones.assertion(PHONE, DIGEST, 0x05)), Phones.nameOf(PHONE), "name");
    }

    function testFuzz_otherDigestsAndBytesAreNobodys(bytes32 other, uint256 at, uint8 change) public view {
        vm.assume(other != DIGEST && change != 0);
        bytes memory signature = Phones.sign(PHONE, DIGEST);
        equal(passkeys.signerOf(other, signature), address(0), "another digest");
        at %= signature.length;
        signature[at] = bytes1(uint8(signature[at]) ^ change);
        equal(passkeys.signerOf(DIGEST, signature), address(0), "another signature");
    }

    function test_malleableSignatureIsNobodys() public view {
        (bytes32 r, bytes32 s) = vm.signP256(PHONE, DIGEST);
        uint256 low = Phones.low(s);
        (uint256 x, uint256 y) = vm.publicKeyP256(PHONE);
        equal(passkeys.signerOf(DIGEST, abi.encodePacked(x, y, r, P256.N - low)), address(0), "upper half");
        equal(passkeys.signerOf(DIGEST, abi.encodePacked(x, y, r, low)), Phones.nameOf(PHONE), "lower half");
    }

    function test_pointsOffTheCurveAndShortSignaturesAreNobodys() public view {
        (bytes32 r, bytes32 s) = vm.signP256(PHONE, DIGEST);
        (uint256 x, uint256 y) = vm.publicKeyP256(PHONE);
        equal(passkeys.signerOf(DIGEST, abi.encodePacked(x, y + 1, r, s)), address(0), "off the curve");
        equal(passkeys.signerOf(DIGEST, abi.encodePacked(uint256(0), uint256(0), r, s)), address(0), "infinity");
        equal(passkeys.signerOf(DIGEST, abi.encodePacked(x, y, r)), address(0), "short");
        equal(passkeys.signerOf(DIGEST, ""), address(0), "empty");
        equal(passkeys.signerOf(DIGEST, new bytes(129)), address(0), "no assertion");
    }

    function test_assertionWithoutTheUserIsNobodys() public view {
        equal(passkeys.signerOf(DIGEST, Phones.assertion(PHONE, DIGEST, 0x01)), address(0), "user not verified");
        equal(passkeys.signerOf(DIGEST, Phones.assertion(PHONE, DIGEST, 0x04)), address(0), "user not present");
        equal(passkeys.signerOf(keccak256("other"), Phones.assertion(PHONE, DIGEST, 0x05)), address(0), "challenge");
    }

    /// @dev Where the precompile stands its word holds; here a stand-in that says yes, or no by saying nothing.
    function test_asksThePrecompileWhereThereIsOne() public {
        (bytes32 r, bytes32 s) = vm.signP256(PHONE, DIGEST);
        (uint256 x, uint256 y) = vm.publicKeyP256(PHONE);
        uint256 low = Phones.low(s);
        bytes memory forged = abi.encodePacked(x, y, r, low);
        bytes32 other = keccak256("other");
        bytes memory known = abi.encode(
            0xbb5a52f42f9c9261ed4361f59422a1e30036e7c32b270c8807a419feca605023,
            uint256(5),
            uint256(1),
            0xa71af64de5126a4a4e02b7922d66ce9415ce88a4c9d25514d91082c8725ac957,
            0x5d47723c8fbe580bb369fec9c2665d8e30a435b9932645482e7c9f11e872296b
        );
        vm.mockCall(address(0x100), abi.encode(other, r, low, x, y), abi.encode(1));
        equal(passkeys.signerOf(other, forged), Phones.nameOf(PHONE), "it said yes");
        vm.mockCall(address(0x100), abi.encode(other, r, low, x, y), "");
        vm.mockCall(address(0x100), known, abi.encode(1));
        uint256 before = gasleft();
        equal(passkeys.signerOf(other, forged), address(0), "it said no");
        isTrue(before - gasleft() < 20_000, "and was believed");
    }
}

contract PhonePaysTest is World {
    uint256 private constant PHONE = 0x9407E;
    bytes32[5] private words;
    uint40 private deadline;

    function setUp() public override {
        super.setUp();
        open();
        SessionPolicy memory policy = policyOf();
        policy.key = Phones.nameOf(PHONE);
        words = Policies.pack(policy);
        deadline = uint40(vm.getBlockTimestamp() + 60);
    }

    function _joined(bytes memory ofKey, bytes memory leave) private pure returns (bytes memory) {
        return abi.encodePacked(uint16(ofKey.length), ofKey, leave);
    }

    function _operation(bytes memory call) private view returns (PackedUserOperation memory op, bytes32 hash) {
        op = sponsored(call, 3, 0);
        op.accountGasLimits = bytes32((uint256(1_500_000) << 128) | 300_000);
        sponsor(op, sponsorFields(3, 0), SPONSOR);
        hash = entryPoint.getUserOpHash(op);
    }

    function test_paysThroughTheEntryPoint() public {
        (PackedUserOperation memory op, bytes32 hash) = _operation(payCall(words, 10e6, 0, false));
        op.signature = abi.encodePacked(uint8(1), _joined(Phones.sign(PHONE, hash), installSignature(words)));
        handle(op);
        equal(usd.balanceOf(PAYEE), 10e6, "by the phone's keystore");
        (op, hash) = _operation(payCall(words, 11e6, 0, false));
        op.signature = abi.encodePacked(uint8(1), _joined(Phones.assertion(PHONE, hash, 0x05), ""));
        handle(op);
        equal(usd.balanceOf(PAYEE), 21e6, "by the passkey");
    }

    function test_paysOnTheLane() public {
        bytes32 digest = _digest(10e6, 0);
        bytes memory signature = _joined(Phones.sign(PHONE, digest), installSignature(words));
        account.payBillSigned(words, payment(10e6, 0, false), deadline, signature);
        signature = _joined(Phones.assertion(PHONE, _digest(11e6, 1), 0x05), "");
        account.payBillSigned(words, payment(11e6, 0, false), deadline, signature);
        equal(usd.balanceOf(PAYEE), 21e6, "paid");
        vm.expectRevert(abi.encodeWithSelector(Sessions.NotSignedBy.selector, Phones.nameOf(PHONE)));
        account.payBillSigned(words, payment(11e6, 0, false), deadline, signature);
    }

    function test_paysInABundleBesideOthers() public {
        bytes memory long = _joined(Phones.sign(PHONE, _digest(10e6, 0)), installSignature(words));
        bytes memory bundle = abi.encodePacked(
            uint24(500_000),
            PAYEE,
            address(usd),
            address(ovpp),
            _body(words, 4, 10e6),
            uint16(long.length),
            long,
            _body(packed(), 0, 5e6),
            sign(KEY, Policies.paymentDigest(packed(), REF, 5e6, 0, false, 0, deadline, address(account)))
        );
        lane.payBills(bundle);
        equal(usd.balanceOf(PAYEE), 15e6, "paid");
    }

    function test_refusesABundleWithASignatureTooLongOrCutShort() public {
        bytes memory head = abi.encodePacked(uint24(200_000), PAYEE, address(usd), address(ovpp), _body(words, 4, 1));
        vm.expectRevert(abi.encodeWithSelector(BillLane.SignatureTooLong.selector, 0, 4097));
        lane.payBills(abi.encodePacked(head, uint16(4097), new bytes(4097)));
        vm.expectRevert(abi.encodeWithSelector(BillLane.BundleCutShort.selector, head.length + 12));
        lane.payBills(abi.encodePacked(head, uint16(11), new bytes(10)));
    }

    function test_refusesAnotherPhone() public {
        account.installSession(words, installSignature(words));
        bytes memory forged = _joined(Phones.sign(PHONE + 1, _digest(10e6, 0)), "");
        vm.expectRevert(abi.encodeWithSelector(Sessions.NotSignedBy.selector, Phones.nameOf(PHONE)));
        account.payBillSigned(words, payment(10e6, 0, false), deadline, forged);
    }

    function test_phoneEndsItsOwnSession() public {
        account.installSession(words, installSignature(words));
        (PackedUserOperation memory op, bytes32 hash) =
            _operation(abi.encodeCall(OpenVPPAccount.renounceSession, (words)));
        op.signature = abi.encodePacked(uint8(1), _joined(Phones.sign(PHONE, hash), ""));
        handle(op);
        equal(flagsOf(words), 3, "revoked");
    }

    function _digest(uint256 amount, uint32 sequence) private view returns (bytes32) {
        return Policies.paymentDigest(words, REF, amount, 0, false, sequence, deadline, address(account));
    }

    function _body(bytes32[5] memory policy, uint8 flags, uint96 amount) private view returns (bytes memory) {
        bytes memory limits = abi.encodePacked(
            policy[0], uint96(uint256(policy[1])), uint96(uint256(policy[2])), uint96(uint256(policy[3]))
        );
        return abi.encodePacked(flags, address(account), limits, policy[4], REF, amount, uint96(0), deadline);
    }
}

contract PhoneOwnsTest is World {
    uint256 private constant PHONE = 0x9407E;

    function setUp() public override {
        super.setUp();
        vm.prank(Phones.nameOf(PHONE));
        account = OpenVPPAccount(payable(factory.createAccount(Phones.nameOf(PHONE), SALT)));
        usd.mint(address(account), 100e6);
    }

    function test_installsASession() public {
        bytes32 digest = Policies.installDigest(packed(), CONSENT, address(account));
        account.installSession(packed(), abi.encodePacked(CONSENT, Phones.assertion(PHONE, digest, 0x05)));
        equal(flagsOf(packed()), 1, "installed");
        vm.prank(address(entryPoint));
        account.payBill(packed(), REF, 7, 0, false);
        equal(usd.balanceOf(PAYEE), 7, "paid");
    }

    function test_signsOperations() public {
        bytes32 hash = keccak256("operation");
        PackedUserOperation memory op;
        op.signature = abi.encodePacked(uint8(0), Phones.assertion(PHONE, hash, 0x05));
        vm.prank(address(entryPoint));
        equal(account.validateUserOp(op, hash, 0), 0, "genuine");
        op.signature = abi.encodePacked(uint8(0), Phones.sign(PHONE + 1, hash));
        vm.prank(address(entryPoint));
        equal(account.validateUserOp(op, hash, 0), 1, "forged");
    }

    function test_signsForOthersToRead() public view {
        bytes32 hash = keccak256("what the app asks for");
        bytes32 structHash = keccak256(abi.encode(keccak256("PersonalSign(bytes prefixed)"), hash));
        bytes32 nested = keccak256(abi.encodePacked("\x19\x01", Policies.domain(address(account)), structHash));
        bytes4 answer = account.isValidSignature(hash, Phones.sign(PHONE, nested));
        isTrue(answer == IERC1271.isValidSignature.selector, "magic value");
    }
}
